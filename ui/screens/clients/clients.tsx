import { Code, CopyButton } from '../../components/copy.tsx';
import { Pairs, Fingerprint } from '../../components/certificate.tsx';
import { status } from '../../state/link.ts';
import { recipes } from '../../words/clients.ts';
import { localDate } from '../../words/text.ts';

export function Clients() {
  const now = status.value;
  if (!now) return <main class="clients" />;
  const admin = location.origin;
  const place = {
    proxy: now.proxy[0] ?? '127.0.0.1:8740',
    caFile: now.ca.path,
    bundleFile: now.ca.bundle,
    admin,
    passwordRequired: now.password_required,
  };
  return (
    <main class="clients">
      <div class="page-side">
        <div class="page-head">
          <h1>Clients</h1>
        </div>
        <section class="card">
          <h2>What every client has to know</h2>
          <p>The address of the proxy, and the local CA, which signs the certificates that mtlsd shows to clients.</p>
          <Pairs
            rows={[
              ['Proxy', <Copied key="proxy" text={`http://${place.proxy}`} label="the address of the proxy" />],
              ...(now.socks ? ([['SOCKS5', now.socks]] as [string, string][]) : []),
              ...(now.password_required
                ? ([['Password', 'required: replace PASSWORD below by auth.password of mtlsd.yaml']] as [
                    string,
                    string,
                  ][])
                : []),
              ['Local CA', <Copied key="ca" text={place.caFile} label="the path of the local CA" />],
              ['With the system', <Copied key="bundle" text={place.bundleFile} label="the path of the bundle" />],
              ['Subject', `${now.ca.subject}, until ${localDate(now.ca.not_after)}`],
              ['SHA-256', <Fingerprint key="fingerprint" value={now.ca.fingerprint256} />],
              ...(now.ca.rotation
                ? ([
                    ['New CA', `${now.ca.rotation.subject}, takes over ${localDate(now.ca.rotation.takes_over)}`],
                    ['SHA-256', <Fingerprint key="next" value={now.ca.rotation.fingerprint256} />],
                  ] as [string, preact.ComponentChildren][])
                : []),
              ['In a browser', 'open http://mtlsd.test/ through the proxy: the steps for each platform, and a test'],
              [
                'Download',
                <>
                  <a href="/ca.pem" download="mtlsd-ca.pem">
                    PEM
                  </a>
                  {' · '}
                  <a href="/ca.crt" download="mtlsd-ca.crt">
                    DER, for phones and Windows
                  </a>
                </>,
              ],
              ['PAC', <Copied key="pac" text={`${admin}/proxy.pac`} label="the URL of the proxy configuration" />],
            ]}
          />
        </section>
        <div class="recipes">
          {recipes(place).map(({ title, note, code }) => (
            <section key={title} class="card">
              <h2>{title}</h2>
              {note !== '' && <p class="muted">{note}</p>}
              <Code text={code} label={`the lines for ${title}`} />
            </section>
          ))}
        </div>
      </div>
    </main>
  );
}

function Copied({ text, label }: { readonly text: string; readonly label: string }) {
  return (
    <span class="fingerprint">
      <code>{text}</code>
      <CopyButton text={text} label={label} />
    </span>
  );
}
