/** Made by `npm run schema` from the OpenAPI document; not to be edited. */
export type Problem = {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly hint: string;
  readonly problems?: readonly unknown[];
};
export type CertificateFacts = {
  readonly subject: string;
  readonly issuer: string;
  readonly subject_name: {
    readonly common_name: string | null;
    readonly organization: string | null;
    readonly organizational_unit: string | null;
    readonly country: string | null;
    readonly state: string | null;
    readonly locality: string | null;
  };
  readonly issuer_name: {
    readonly common_name: string | null;
    readonly organization: string | null;
    readonly organizational_unit: string | null;
    readonly country: string | null;
    readonly state: string | null;
    readonly locality: string | null;
  };
  readonly sans: readonly string[];
  readonly not_before: string;
  readonly not_after: string;
  readonly serial: string;
  readonly fingerprint256: string;
  readonly fingerprint1: string;
  readonly spki256: string;
  readonly self_signed: boolean;
  readonly ca: boolean;
  readonly key: string;
  readonly signature: string;
  readonly extended_key_usage: readonly string[] | null;
};
export type Diagnosis = {
  readonly code: string;
  readonly severity: 'error' | 'warning';
  readonly message: string;
  readonly hint: string;
  readonly file: string | null;
};
export type Entry = {
  readonly name: string;
  readonly host: string;
  readonly port: number | '*';
  readonly cert: string | null;
  readonly key: string | null;
  readonly pfx: string | null;
  readonly alias: string | null;
  readonly passphrase:
    | { readonly env: string }
    | { readonly file: string }
    | { readonly command: readonly string[] }
    | { readonly text: true }
    | null;
  readonly enabled: boolean;
  readonly profile: string | null;
  readonly withhold_unverified: boolean;
  readonly cross_site: ('withhold' | 'allow' | 'refuse') | readonly string[];
  readonly line: number;
  readonly usable: boolean;
  readonly facts: readonly CertificateFacts[];
  readonly problems: readonly Diagnosis[];
  readonly days_left: number | null;
  readonly shadowed_by: string | null;
  readonly last_used: string | null;
};
export type ServerProblem = {
  readonly code: string;
  readonly depth: number | null;
  readonly subject: string | null;
  readonly message: string;
  readonly hint: string;
  readonly allowed?: boolean;
};
export type RecordError = {
  readonly code:
    | 'BAD_AUTHORITY'
    | 'BAD_REQUEST'
    | 'REQUEST_TIMEOUT'
    | 'REQUEST_TOO_LARGE'
    | 'CLIENT_TLS_FAILED'
    | 'MISDIRECTED_REQUEST'
    | 'PROXY_AUTHENTICATION_REQUIRED'
    | 'POLICY_REFUSED'
    | 'LOOP_DETECTED'
    | 'DNS_FAILED'
    | 'DNS_TIMEOUT'
    | 'CONNECTION_REFUSED'
    | 'CONNECTION_TIMEOUT'
    | 'CONNECTION_FAILED'
    | 'CONNECTION_CLOSED'
    | 'RESPONSE_TIMEOUT'
    | 'RESPONSE_INVALID'
    | 'TLS_FAILED'
    | 'TLS_TIMEOUT'
    | 'SERVER_CERTIFICATE_REJECTED'
    | 'CLIENT_CERTIFICATE_REQUIRED'
    | 'CLIENT_CERTIFICATE_REFUSED'
    | 'CLIENT_CERTIFICATE_UNUSABLE'
    | 'CLIENT_CERTIFICATE_UNKNOWN'
    | 'UPSTREAM_PROXY_FAILED'
    | 'UPSTREAM_PROXY_AUTHENTICATION'
    | 'CLIENT_GONE'
    | 'SHUTTING_DOWN'
    | 'OVERLOADED'
    | 'BAD_CONFIGURATION'
    | 'INTERNAL';
  readonly message: string;
  readonly hint: string;
  readonly alert: { readonly number: number; readonly name: string; readonly meaning: string } | null;
};
export type Connection = {
  readonly event: 'tls.connected' | 'tls.failed';
  readonly connection: string;
  readonly started: string;
  readonly authority: string;
  readonly address: { readonly ip: string; readonly port: number; readonly family: 4 | 6 } | null;
  readonly local: { readonly ip: string; readonly port: number; readonly family: 4 | 6 } | null;
  readonly via: string | null;
  readonly tls: {
    readonly protocol: string;
    readonly cipher: string;
    readonly cipher_standard_name: string;
    readonly alpn: string | null;
    readonly server_name: string | null;
    readonly ephemeral_key: {
      readonly type: string;
      readonly name: string | null;
      readonly size: number | null;
    } | null;
    readonly reused: boolean;
  } | null;
  readonly server: { readonly chain: readonly CertificateFacts[] };
  readonly verification: {
    readonly mode: 'enforce' | 'report';
    readonly rule: string | null;
    readonly override: boolean;
    readonly authorized: boolean;
    readonly problems: readonly ServerProblem[];
  };
  readonly client_certificate: {
    readonly requested: boolean | null;
    readonly sent: boolean;
    readonly outcome: 'sent' | 'not_requested' | 'none_configured' | 'not_sendable' | 'withheld' | 'unknown';
    readonly name: string | null;
    readonly subject: string | null;
    readonly fingerprint256: string | null;
    readonly reason: string;
  };
  readonly ms: { readonly dns: number; readonly connect: number; readonly tls: number; readonly settle: number };
  readonly error: RecordError | null;
};
export type Exchange = {
  readonly event: 'exchange';
  readonly exchange: string;
  readonly connection: string | null;
  readonly started: string;
  readonly client: string;
  readonly method: string;
  readonly authority: string;
  readonly path: string;
  readonly http: string;
  readonly upstream_http: string | null;
  readonly status: number | null;
  readonly request_bytes: number;
  readonly response_bytes: number;
  readonly certificate: string | null;
  readonly authorized: boolean | null;
  readonly reused: boolean;
  readonly ms: { readonly total: number; readonly connect: number; readonly tls: number; readonly wait: number };
  readonly overrides: {
    readonly verification?: string;
    readonly certificate?: string;
    readonly profile?: string;
  } | null;
  readonly mismatch: { readonly host?: string; readonly server_name?: string } | null;
  readonly error: RecordError | null;
};
export type StoreProblem = {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
  readonly expected: string;
};
export type StoreChange = {
  readonly generation: number;
  readonly entries: number;
  readonly usable: number;
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  readonly sections: readonly ('trust' | 'verification' | 'interception')[];
};
export type Rejection = { readonly at: string; readonly problems: readonly StoreProblem[] };
export type EntryList = {
  readonly certificates: readonly Entry[];
  readonly next: string | null;
  readonly total: number;
};
export type Inspection = {
  readonly usable: boolean;
  readonly facts: readonly CertificateFacts[];
  readonly problems: readonly Diagnosis[];
  readonly days_left: number | null;
};
export type Match = {
  readonly authority: string;
  readonly action: 'intercept' | 'passthrough' | 'refuse';
  readonly why: string;
  readonly error: { readonly code: string; readonly message: string; readonly hint: string } | null;
  readonly certificate: {
    readonly name: string | null;
    readonly reason: string;
    readonly usable: boolean;
    readonly problems: readonly Diagnosis[];
    readonly losers: readonly { readonly name: string; readonly why: string }[];
  };
  readonly verification: {
    readonly mode: 'enforce' | 'report';
    readonly rule: string | null;
    readonly reason: string;
    readonly override: boolean;
    readonly trust_anchors: number;
    readonly allow: readonly string[];
    readonly pins: readonly string[];
    readonly min_version: string;
    readonly max_version: string;
    readonly server_name: string | null;
    readonly losers: readonly { readonly name: string; readonly why: string }[];
  };
};
export type Probe = {
  readonly certificate: { readonly name: string | null; readonly reason: string; readonly usable: boolean };
  readonly authority: string;
  readonly time: string;
  readonly address: { readonly ip: string; readonly port: number; readonly family: 4 | 6 } | null;
  readonly server_name: string | null;
  readonly attempts: readonly {
    readonly version: 'TLSv1.3' | 'TLSv1.2' | 'TLSv1.1' | 'TLSv1';
    readonly certificate: 'none' | 'ours';
    readonly outcome: string;
    readonly requested: boolean | null;
    readonly sent: boolean | null;
    readonly cipher: string | null;
    readonly alpn: string | null;
    readonly alert: {
      readonly number: number;
      readonly name: string;
      readonly meaning: string;
      readonly hint: string;
    } | null;
    readonly error: string | null;
    readonly ms: number;
  }[];
  readonly versions: readonly {
    readonly version: 'TLSv1.3' | 'TLSv1.2' | 'TLSv1.1' | 'TLSv1';
    readonly offered: boolean;
  }[];
  readonly ciphers: readonly {
    readonly version: 'TLSv1.3' | 'TLSv1.2' | 'TLSv1.1' | 'TLSv1';
    readonly suites: readonly string[];
  }[];
  readonly alpn: readonly string[];
  readonly server: { readonly chain: readonly CertificateFacts[]; readonly sent: readonly CertificateFacts[] };
  readonly verification: {
    readonly complete: boolean;
    readonly mode: 'enforce' | 'report';
    readonly authorized: boolean;
    readonly problems: readonly ServerProblem[];
  };
  readonly client_certificate: {
    readonly requested: boolean | null;
    readonly required: boolean | null;
    readonly ca_names: readonly string[];
    readonly signature_algorithms: readonly string[];
    readonly certificate_types: readonly string[];
    readonly issuer_named: boolean | null;
    readonly ours: string | null;
  };
  readonly error: string | null;
};
export type ExchangeList = { readonly exchanges: readonly Exchange[]; readonly next: string | null };
export type Status = {
  readonly version: string;
  readonly pid: number;
  readonly started: string;
  readonly ready: boolean;
  readonly home: string;
  readonly proxy: readonly string[];
  readonly socks: string | null;
  readonly listeners: readonly string[];
  readonly password_required: boolean;
  readonly ca: {
    readonly subject: string;
    readonly fingerprint256: string;
    readonly not_after: string;
    readonly path: string;
    readonly bundle: string;
  };
  readonly store: {
    readonly file: string;
    readonly generation: number;
    readonly loaded: string;
    readonly certificates: number;
    readonly enabled: number;
    readonly unusable: number;
    readonly expiring: readonly { readonly name: string; readonly days_left: number }[];
    readonly verification: 'enforce' | 'report';
    readonly rules: number;
    readonly interception: 'all' | 'listed';
    readonly rejected: Rejection | null;
  };
  readonly records: { readonly exchanges: number; readonly connections: number; readonly bytes: number };
  readonly clients: number;
};
export type Anchor = {
  readonly file: string;
  readonly rules: readonly string[];
  readonly everywhere: boolean;
  readonly certificates: readonly CertificateFacts[];
  readonly problem: string | null;
};
export type AnchorList = { readonly anchors: readonly Anchor[] };

/** Method and path of each operation. */
export const OPERATIONS = {
  status: ['GET', '/api/v1/status'],
  reload: ['POST', '/api/v1/reload'],
  inspectCertificate: ['POST', '/api/v1/certificates/inspect'],
  listCertificates: ['GET', '/api/v1/certificates'],
  addCertificate: ['POST', '/api/v1/certificates'],
  showCertificate: ['GET', '/api/v1/certificates/{name}'],
  replaceCertificate: ['PUT', '/api/v1/certificates/{name}'],
  editCertificate: ['PATCH', '/api/v1/certificates/{name}'],
  removeCertificate: ['DELETE', '/api/v1/certificates/{name}'],
  restoreCertificate: ['POST', '/api/v1/certificates/{name}/restore'],
  showVerification: ['GET', '/api/v1/verification'],
  replaceVerification: ['PUT', '/api/v1/verification'],
  showTrust: ['GET', '/api/v1/trust'],
  replaceTrust: ['PUT', '/api/v1/trust'],
  showInterception: ['GET', '/api/v1/interception'],
  replaceInterception: ['PUT', '/api/v1/interception'],
  showRule: ['GET', '/api/v1/verification/rules/{host}/{port}'],
  putRule: ['PUT', '/api/v1/verification/rules/{host}/{port}'],
  removeRule: ['DELETE', '/api/v1/verification/rules/{host}/{port}'],
  match: ['GET', '/api/v1/match'],
  probe: ['POST', '/api/v1/probe'],
  listExchanges: ['GET', '/api/v1/exchanges'],
  showExchange: ['GET', '/api/v1/exchanges/{id}'],
  showConnection: ['GET', '/api/v1/connections/{id}'],
  exportHar: ['GET', '/api/v1/export.har'],
  events: ['GET', '/api/v1/events'],
  listAnchors: ['GET', '/api/v1/trust/anchors'],
  addAnchor: ['POST', '/api/v1/trust/anchors'],
  createCode: ['POST', '/api/v1/session/codes'],
  signOut: ['DELETE', '/api/v1/session'],
} as const;

export interface Operations {
  status: { path?: undefined; query?: undefined; body: undefined; answer: Status };
  reload: { path?: undefined; query?: undefined; body: undefined; answer: StoreChange };
  inspectCertificate: {
    path?: undefined;
    query?: undefined;
    body: {
      readonly cert?: string;
      readonly key?: string;
      readonly pfx?: string;
      readonly alias?: string;
      readonly passphrase?:
        | string
        | { readonly env: string }
        | { readonly file: string }
        | { readonly command: readonly string[] };
      readonly cert_pem?: string;
      readonly key_pem?: string;
      readonly pfx_base64?: string;
    };
    answer: Inspection;
  };
  listCertificates: {
    path?: undefined;
    query?: { host?: string; profile?: string; usable?: boolean; after?: string; limit?: number };
    body: undefined;
    answer: EntryList;
  };
  addCertificate: {
    path?: undefined;
    query?: { check?: boolean };
    body: {
      readonly name?: string;
      readonly host: string;
      readonly port?: number | '*';
      readonly cert?: string;
      readonly key?: string;
      readonly pfx?: string;
      readonly alias?: string;
      readonly passphrase?:
        | string
        | { readonly env: string }
        | { readonly file: string }
        | { readonly command: readonly string[] };
      readonly enabled?: boolean;
      readonly profile?: string;
      readonly withhold_unverified?: boolean;
      readonly cross_site?: ('withhold' | 'allow' | 'refuse') | readonly string[];
      readonly cert_pem?: string;
      readonly key_pem?: string;
      readonly pfx_base64?: string;
    };
    answer: Entry;
  };
  showCertificate: { path: { name: string }; query?: undefined; body: undefined; answer: Entry };
  replaceCertificate: {
    path: { name: string };
    query?: { check?: boolean };
    body: {
      readonly name?: string;
      readonly host: string;
      readonly port?: number | '*';
      readonly cert?: string;
      readonly key?: string;
      readonly pfx?: string;
      readonly alias?: string;
      readonly passphrase?:
        | string
        | { readonly env: string }
        | { readonly file: string }
        | { readonly command: readonly string[] };
      readonly enabled?: boolean;
      readonly profile?: string;
      readonly withhold_unverified?: boolean;
      readonly cross_site?: ('withhold' | 'allow' | 'refuse') | readonly string[];
      readonly cert_pem?: string;
      readonly key_pem?: string;
      readonly pfx_base64?: string;
    };
    answer: Entry;
  };
  editCertificate: {
    path: { name: string };
    query?: { check?: boolean };
    body: {
      readonly name?: string;
      readonly host?: string;
      readonly port?: (number | '*') | null;
      readonly cert?: string | null;
      readonly key?: string | null;
      readonly pfx?: string | null;
      readonly alias?: string | null;
      readonly passphrase?:
        | (string | { readonly env: string } | { readonly file: string } | { readonly command: readonly string[] })
        | null;
      readonly enabled?: boolean | null;
      readonly profile?: string | null;
      readonly withhold_unverified?: boolean | null;
      readonly cross_site?: (('withhold' | 'allow' | 'refuse') | readonly string[]) | null;
      readonly cert_pem?: string | null;
      readonly key_pem?: string | null;
      readonly pfx_base64?: string | null;
    };
    answer: Entry;
  };
  removeCertificate: { path: { name: string }; query?: undefined; body: undefined; answer: undefined };
  restoreCertificate: { path: { name: string }; query?: undefined; body: undefined; answer: Entry };
  showVerification: {
    path?: undefined;
    query?: undefined;
    body: undefined;
    answer: {
      readonly mode?: 'enforce' | 'report';
      readonly rules?: readonly {
        readonly host: string;
        readonly port?: number | '*';
        readonly mode?: 'enforce' | 'report';
        readonly trust?: { readonly system?: boolean; readonly ca?: readonly string[] };
        readonly allow?: readonly string[];
        readonly pins?: readonly string[];
        readonly min_version?: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';
        readonly max_version?: 'TLSv1.2' | 'TLSv1.3';
        readonly server_name?: string;
      }[];
    };
  };
  replaceVerification: {
    path?: undefined;
    query?: undefined;
    body: {
      readonly mode?: 'enforce' | 'report';
      readonly rules?: readonly {
        readonly host: string;
        readonly port?: number | '*';
        readonly mode?: 'enforce' | 'report';
        readonly trust?: { readonly system?: boolean; readonly ca?: readonly string[] };
        readonly allow?: readonly string[];
        readonly pins?: readonly string[];
        readonly min_version?: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';
        readonly max_version?: 'TLSv1.2' | 'TLSv1.3';
        readonly server_name?: string;
      }[];
    };
    answer: {
      readonly mode?: 'enforce' | 'report';
      readonly rules?: readonly {
        readonly host: string;
        readonly port?: number | '*';
        readonly mode?: 'enforce' | 'report';
        readonly trust?: { readonly system?: boolean; readonly ca?: readonly string[] };
        readonly allow?: readonly string[];
        readonly pins?: readonly string[];
        readonly min_version?: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';
        readonly max_version?: 'TLSv1.2' | 'TLSv1.3';
        readonly server_name?: string;
      }[];
    };
  };
  showTrust: {
    path?: undefined;
    query?: undefined;
    body: undefined;
    answer: { readonly system?: boolean; readonly ca?: readonly string[] };
  };
  replaceTrust: {
    path?: undefined;
    query?: undefined;
    body: { readonly system?: boolean; readonly ca?: readonly string[] };
    answer: { readonly system?: boolean; readonly ca?: readonly string[] };
  };
  showInterception: {
    path?: undefined;
    query?: undefined;
    body: undefined;
    answer: {
      readonly mode?: 'all' | 'listed';
      readonly passthrough?: readonly string[];
      readonly unmatched?: 'intercept' | 'passthrough' | 'refuse';
    };
  };
  replaceInterception: {
    path?: undefined;
    query?: undefined;
    body: {
      readonly mode?: 'all' | 'listed';
      readonly passthrough?: readonly string[];
      readonly unmatched?: 'intercept' | 'passthrough' | 'refuse';
    };
    answer: {
      readonly mode?: 'all' | 'listed';
      readonly passthrough?: readonly string[];
      readonly unmatched?: 'intercept' | 'passthrough' | 'refuse';
    };
  };
  showRule: {
    path: { host: string; port: string };
    query?: undefined;
    body: undefined;
    answer: {
      readonly host: string;
      readonly port?: number | '*';
      readonly mode?: 'enforce' | 'report';
      readonly trust?: { readonly system?: boolean; readonly ca?: readonly string[] };
      readonly allow?: readonly string[];
      readonly pins?: readonly string[];
      readonly min_version?: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';
      readonly max_version?: 'TLSv1.2' | 'TLSv1.3';
      readonly server_name?: string;
    };
  };
  putRule: {
    path: { host: string; port: string };
    query?: undefined;
    body: {
      readonly host?: string;
      readonly port?: number | '*';
      readonly mode?: 'enforce' | 'report';
      readonly trust?: { readonly system?: boolean; readonly ca?: readonly string[] };
      readonly allow?: readonly string[];
      readonly pins?: readonly string[];
      readonly min_version?: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';
      readonly max_version?: 'TLSv1.2' | 'TLSv1.3';
      readonly server_name?: string;
    };
    answer: {
      readonly host: string;
      readonly port?: number | '*';
      readonly mode?: 'enforce' | 'report';
      readonly trust?: { readonly system?: boolean; readonly ca?: readonly string[] };
      readonly allow?: readonly string[];
      readonly pins?: readonly string[];
      readonly min_version?: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';
      readonly max_version?: 'TLSv1.2' | 'TLSv1.3';
      readonly server_name?: string;
    };
  };
  removeRule: { path: { host: string; port: string }; query?: undefined; body: undefined; answer: undefined };
  match: {
    path?: undefined;
    query?: { authority?: string; profile?: string; certificate?: string; verification?: 'enforce' | 'report' };
    body: undefined;
    answer: Match;
  };
  probe: {
    path?: undefined;
    query?: undefined;
    body: {
      readonly authority: string;
      readonly certificate?: string | null;
      readonly profile?: string;
      readonly ciphers?: boolean;
    };
    answer: Probe;
  };
  listExchanges: {
    path?: undefined;
    query?: { host?: string; failed?: boolean; certificate?: string; limit?: number; before?: string };
    body: undefined;
    answer: ExchangeList;
  };
  showExchange: { path: { id: string }; query?: undefined; body: undefined; answer: Exchange };
  showConnection: { path: { id: string }; query?: undefined; body: undefined; answer: Connection };
  exportHar: {
    path?: undefined;
    query?: { host?: string; failed?: boolean; certificate?: string; limit?: number };
    body: undefined;
    answer: { readonly log: {} };
  };
  events: { path?: undefined; query?: { last?: number }; body: undefined; answer: undefined };
  listAnchors: { path?: undefined; query?: undefined; body: undefined; answer: AnchorList };
  addAnchor: {
    path?: undefined;
    query?: undefined;
    body: {
      readonly cert_pem?: string;
      readonly authority?: string;
      readonly fingerprint256?: string;
      readonly host?: string;
      readonly port?: number | '*';
    };
    answer: Anchor;
  };
  createCode: {
    path?: undefined;
    query?: undefined;
    body: undefined;
    answer: { readonly code: string; readonly expires: string };
  };
  signOut: { path?: undefined; query?: undefined; body: undefined; answer: undefined };
}
