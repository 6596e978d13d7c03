/** The variables that give programs the proxy and the CAs to trust. docs/clients.md says which program reads which. */

export interface ClientSettings {
  /** `http://127.0.0.1:8740`, with a user for a profile and a password if the proxy requires one. */
  readonly proxy: URL;
  /** The local CA alone, for programs that add to their own trust. */
  readonly caFile: string;
  /** System anchors and the local CA, for programs that replace their own trust. */
  readonly bundleFile: string;
  /** Hosts that are reached without the proxy; none unless asked for. */
  readonly noProxy: string;
  /** PKCS#12 with the anchors of the JDK and the local CA; null where there is no keytool to make it. */
  readonly javaTrustStore: string | null;
  /** For wget, which has no variable for a bundle; null to leave its settings alone. */
  readonly wgetrc: string | null;
  /** The folder of a `.curlrc` without options that override the variables; null where the user's own file has none of them. */
  readonly curlHome: string | null;
}

/** The password of the trust store: nothing in it is secret, and the JDK's own has the same. */
export const JAVA_STORE_PASSWORD = 'changeit';

/** In the order in which they are printed. */
export function clientVariables(settings: ClientSettings, before: NodeJS.ProcessEnv): Record<string, string> {
  const proxy = settings.proxy.href.replace(/\/$/, '');
  return {
    ...forBoth('http_proxy', proxy),
    ...forBoth('https_proxy', proxy),
    ...forBoth('ws_proxy', proxy),
    ...forBoth('wss_proxy', proxy),
    ...forBoth('no_proxy', settings.noProxy),
    GLOBAL_AGENT_HTTP_PROXY: proxy,
    GLOBAL_AGENT_NO_PROXY: settings.noProxy,
    CGI_HTTP_PROXY: proxy,
    npm_config_proxy: proxy,
    npm_config_https_proxy: proxy,
    npm_config_noproxy: settings.noProxy,
    // A `cafile` in the user's npmrc, usual in companies, overrides NODE_EXTRA_CA_CERTS; this overrides the cafile.
    npm_config_cafile: settings.bundleFile,
    // Yarn from 2 on reads no other; it refuses to start with YARN_ variables that it does not know.
    YARN_HTTP_PROXY: proxy,
    YARN_HTTPS_PROXY: proxy,
    PIP_PROXY: proxy,
    CARGO_HTTP_PROXY: proxy,
    ...gitVariables(proxy, before),
    grpc_proxy: proxy,
    no_grpc_proxy: settings.noProxy,
    NODE_USE_ENV_PROXY: '1',
    // These add the local CA to what the program trusts already.
    NODE_EXTRA_CA_CERTS: settings.caFile,
    DENO_CERT: settings.caFile,
    // These replace what it trusts, so they get the bundle.
    SSL_CERT_FILE: settings.bundleFile,
    CURL_CA_BUNDLE: settings.bundleFile,
    GIT_SSL_CAINFO: settings.bundleFile,
    REQUESTS_CA_BUNDLE: settings.bundleFile,
    PIP_CERT: settings.bundleFile,
    HTTPLIB2_CA_CERTS: settings.bundleFile,
    AWS_CA_BUNDLE: settings.bundleFile,
    CARGO_HTTP_CAINFO: settings.bundleFile,
    BUNDLE_SSL_CA_CERT: settings.bundleFile,
    CONDA_SSL_VERIFY: settings.bundleFile,
    PERL_LWP_SSL_CA_FILE: settings.bundleFile,
    NIX_SSL_CERT_FILE: settings.bundleFile,
    GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: settings.bundleFile,
    ...(settings.wgetrc !== null && { WGETRC: settings.wgetrc }),
    ...(settings.curlHome !== null && { CURL_HOME: settings.curlHome }),
    JAVA_TOOL_OPTIONS: javaOptions(settings, before.JAVA_TOOL_OPTIONS),
  };
}

/** `http.proxy` in a user's settings overrides the variables of curl; settings in the environment (git 2.31) override both. */
function gitVariables(proxy: string, before: NodeJS.ProcessEnv): Record<string, string> {
  const count = Number(before.GIT_CONFIG_COUNT ?? 0) || 0;
  // Inside `mtlsd run` the last setting is ours already.
  const own = count > 0 && before[`GIT_CONFIG_KEY_${count - 1}`] === 'http.proxy' ? count - 1 : count;
  return {
    GIT_CONFIG_COUNT: `${own + 1}`,
    [`GIT_CONFIG_KEY_${own}`]: 'http.proxy',
    [`GIT_CONFIG_VALUE_${own}`]: proxy,
  };
}

/** Some programs read only lower case, some only upper case. */
function forBoth(name: string, value: string): Record<string, string> {
  return { [name]: value, [name.toUpperCase()]: value };
}

/** The JVM splits at white space and knows quotes. Options that were set before stay, and ours override them. */
function javaOptions({ proxy, noProxy, javaTrustStore }: ClientSettings, before: string | undefined): string {
  const host = proxy.hostname.replace(/^\[|\]$/g, '');
  const options = {
    'http.proxyHost': host,
    'http.proxyPort': proxy.port,
    'https.proxyHost': host,
    'https.proxyPort': proxy.port,
    // Empty for all hosts: without it the JDK reaches localhost directly.
    'http.nonProxyHosts': noProxy.split(',').filter(Boolean).join('|'),
    ...(javaTrustStore !== null && {
      'javax.net.ssl.trustStore': javaTrustStore,
      'javax.net.ssl.trustStoreType': 'PKCS12',
      'javax.net.ssl.trustStorePassword': JAVA_STORE_PASSWORD,
    }),
  };
  const ours = Object.entries(options).map(([name, value]) => javaWord(`-D${name}=${value}`));
  const kept = (before ?? '').trim();
  return [...(kept === '' || kept.includes(ours.join(' ')) ? [] : [kept]), ...ours].join(' ');
}

const javaWord = (word: string): string => (/\s/.test(word) ? `"${word}"` : word);
