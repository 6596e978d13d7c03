/** How to point each client at the proxy, with the real addresses and paths filled in. */

export interface ClientPlace {
  /** `127.0.0.1:8740` */
  readonly proxy: string;
  readonly caFile: string;
  readonly bundleFile: string;
  /** `http://127.0.0.1:8741` */
  readonly admin: string;
  readonly passwordRequired: boolean;
}

export interface Recipe {
  readonly title: string;
  readonly note: string;
  readonly code: string;
}

export function recipes({ proxy, caFile, bundleFile, admin, passwordRequired }: ClientPlace): Recipe[] {
  const url = `http://${passwordRequired ? 'mtlsd:PASSWORD@' : ''}${proxy}`;
  const ca = word(caFile);
  const bundle = word(bundleFile);
  const [host, port] = splitPort(proxy);
  return [
    {
      title: 'Any program',
      note: 'Starts it with all that the clients below read. Nothing else of the machine changes.',
      code: 'mtlsd run -- COMMAND',
    },
    { title: 'This shell', note: 'Everything started from it goes through the proxy.', code: 'eval "$(mtlsd env)"' },
    { title: 'curl', note: '', code: `curl --proxy ${url} --cacert ${ca} https://api.example/` },
    {
      title: 'Python',
      note: 'requests, pip, httpx and urllib.',
      code: `export HTTPS_PROXY=${url}\nexport REQUESTS_CA_BUNDLE=${bundle}\nexport SSL_CERT_FILE=${bundle}`,
    },
    {
      title: 'Node',
      note: 'Node 24 and newer; npm reads the same.',
      code: `export HTTPS_PROXY=${url}\nexport NODE_USE_ENV_PROXY=1\nexport NODE_EXTRA_CA_CERTS=${ca}`,
    },
    {
      title: 'Java',
      note: '/tmp/mtlsd.p12 is made by the first line.',
      code: `keytool -importcert -noprompt -alias mtlsd -file ${ca} -keystore /tmp/mtlsd.p12 -storetype PKCS12 -storepass changeit\nexport JAVA_TOOL_OPTIONS="-Dhttps.proxyHost=${host} -Dhttps.proxyPort=${port} -Djavax.net.ssl.trustStore=/tmp/mtlsd.p12 -Djavax.net.ssl.trustStorePassword=changeit"`,
    },
    {
      title: 'Go',
      note: 'Not for localhost, which Go never sends through a proxy. On macOS and Windows, install the CA into the system.',
      code: `export HTTPS_PROXY=${url}\nexport SSL_CERT_FILE=${bundle}`,
    },
    {
      title: 'git',
      note: 'For every repository of yours; leave out --global for one.',
      code: `git config --global http.proxy ${url}\ngit config --global http.sslCAInfo ${bundle}`,
    },
    {
      title: 'Docker',
      note: 'A container has another 127.0.0.1: listen where it reaches the proxy, with a password.',
      code: `docker run --rm --add-host host.docker.internal:host-gateway \\\n  -v ${bundle}:/etc/ssl/mtlsd.pem:ro \\\n  -e HTTPS_PROXY=http://me:PASSWORD@host.docker.internal:${port} \\\n  -e SSL_CERT_FILE=/etc/ssl/mtlsd.pem -e NODE_EXTRA_CA_CERTS=/etc/ssl/mtlsd.pem IMAGE`,
    },
    {
      title: 'Browsers',
      note: 'Install the CA for Firefox and Chromium, then set the URL for automatic proxy configuration.',
      code: `mtlsd ca install --nss\n${admin}/proxy.pac`,
    },
    {
      title: 'The whole system',
      note: 'Every user of this machine then trusts the local CA. For one person at one prompt, mtlsd run is enough.',
      code: 'mtlsd ca install --system',
    },
  ];
}

function splitPort(address: string): [string, string] {
  const at = address.lastIndexOf(':');
  return [address.slice(0, at).replace(/^\[|\]$/g, ''), address.slice(at + 1)];
}

/** A path as a shell takes it. */
function word(path: string): string {
  return /^[\w./:@%+=,-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
