/** X.509 (RFC 5280) as plain data: the shape that log, API, page, store and verdict share. */

/** Subject or issuer, its common attributes by name; `text` holds all of them. */
export interface NameFacts {
  readonly common_name: string | null;
  readonly organization: string | null;
  readonly organizational_unit: string | null;
  readonly country: string | null;
  readonly state: string | null;
  readonly locality: string | null;
}

export interface CertificateFacts {
  /** One line, most specific attribute first: `CN=leaf, O=Example`. */
  readonly subject: string;
  readonly issuer: string;
  readonly subject_name: NameFacts;
  readonly issuer_name: NameFacts;
  /** `DNS:…`, `IP:…`, `EMAIL:…`, `URI:…` */
  readonly sans: readonly string[];
  /** RFC 3339, UTC. */
  readonly not_before: string;
  readonly not_after: string;
  readonly serial: string;
  readonly fingerprint256: string;
  readonly fingerprint1: string;
  /** base64 SHA-256 of the SubjectPublicKeyInfo, as in RFC 7469 pins. */
  readonly spki256: string;
  /** Issuer is subject and the signature verifies with its own key. */
  readonly self_signed: boolean;
  readonly ca: boolean;
  /** `EC P-256`, `RSA 2048`, `Ed25519`. */
  readonly key: string;
  /** `ecdsa-with-SHA256`. */
  readonly signature: string;
  /** Extended key usage by name (`serverAuth`) or OID; null where the extension is absent. */
  readonly extended_key_usage: readonly string[] | null;
}
