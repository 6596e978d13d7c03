/** Proxy auto-configuration (PAC): which hosts a browser sends through the proxy. */
import type { StoreSnapshot } from '../certs/store/snapshot.ts';
import { canonicalPattern } from '../core/hosts.ts';

/**
 * JavaScript for `FindProxyForURL`. In mode `listed`, hosts without a certificate or a rule go direct.
 * @param proxy `HOST:PORT`; undefined where the proxy has no TCP address
 */
export function proxyPac(store: StoreSnapshot, proxy: string | undefined): string {
  const through = proxy === undefined ? 'DIRECT' : `PROXY ${proxy}`;
  const listed = store.interception.mode === 'listed' ? listedHosts(store) : null;
  return `var THROUGH = ${JSON.stringify(through)};
var LISTED = ${JSON.stringify(listed)};
function FindProxyForURL(url, host) {
  var at = /^([a-z]+):\\/\\/(?:[^\\/?#@]*@)?(?:\\[[^\\]]*\\]|[^\\/?#:]*)(?::(\\d+))?/i.exec(url) || [];
  var secure = /^(https|wss)$/i.test(at[1]);
  var port = at[2] ? Number(at[2]) : secure ? 443 : 80;
  var name = host.toLowerCase().replace(/^\\[|\\]$/g, "").replace(/\\.$/, "");
  function has(pattern) {
    var ports = Object.prototype.hasOwnProperty.call(LISTED, pattern) ? LISTED[pattern] : [];
    return ports.indexOf(port) !== -1 || ports.indexOf("*") !== -1;
  }
  if (LISTED === null) return isPlainHostName(host) || name === "127.0.0.1" || name === "::1" ? "DIRECT" : THROUGH;
  if (has(name)) return THROUGH;
  if (isPlainHostName(host) || name === "127.0.0.1" || name === "::1") return "DIRECT";
  for (var dot = name.indexOf("."); dot !== -1; dot = name.indexOf(".", dot + 1))
    if (has("*" + name.slice(dot))) return THROUGH;
  return has("*") ? THROUGH : "DIRECT";
}
`;
}

/** Ports by pattern, of what `interception.mode: listed` looks at: enabled entries and rules. */
function listedHosts({ entries, sections }: StoreSnapshot): Record<string, (number | '*')[]> {
  const listed = new Map<string, Set<number | '*'>>();
  const rules = sections.verification.rules.map(({ host, port = 443 }) => ({ host, port }));
  for (const { host, port } of [...entries.filter(({ enabled }) => enabled), ...rules]) {
    const pattern = canonicalPattern(host) ?? host;
    listed.set(pattern, (listed.get(pattern) ?? new Set()).add(port));
  }
  return Object.fromEntries([...listed].map(([pattern, ports]) => [pattern, [...ports]]));
}
