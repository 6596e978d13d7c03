/**
 * The file for automatic configuration of a browser's proxy, made from the store in force. In mode `listed` only what the store
 * lists goes to the proxy. The decision is that of certs/decide.ts; the tests compare the two.
 */
import { placeOf } from '../certs/store/compile.ts';
import type { StoreSnapshot } from '../certs/store/snapshot.ts';
import { isLoopback } from '../core/authority.ts';
import { type HostPort, parsePassthrough } from '../core/hosts.ts';
import { OWN_NAME } from '../core/own-name.ts';

/** By `=host`, `.suffix` or `*`, so that a host called `__proto__` is a key like any other; 0 is any port. */
type Places = Record<string, number[]>;

/**
 * @param proxy `host:port` of the proxy; undefined where clients reach it by a UNIX socket alone, which no browser can
 */
export function proxyPac(store: StoreSnapshot, proxy: string | undefined): string {
  const { interception, verification } = store.sections;
  const onlyListed = interception.mode === 'listed';
  const listed = [...store.entries.filter(({ enabled }) => enabled), ...verification.rules.map(placeOf)].filter(
    ({ host }) => onlyListed || isLocal(host),
  );
  const passthrough = onlyListed ? interception.passthrough.flatMap((item) => parsePassthrough(item) ?? []) : [];
  return `var PROXY = ${JSON.stringify(proxy === undefined ? 'DIRECT' : `PROXY ${proxy}`)};
var LISTED = ${JSON.stringify(placesOf(listed))};
var PASSTHROUGH = ${JSON.stringify(placesOf(passthrough))};
var ONLY_LISTED = ${onlyListed};
var OWN_NAME = ${JSON.stringify(OWN_NAME)};
${FUNCTIONS}`;
}

/** In mode `all` only these need an entry to go to the proxy, and the file lists no other host. */
const isLocal = (host: string): boolean => !host.includes('.') || isLoopback(host);

function placesOf(patterns: readonly HostPort[]): Places {
  const places = new Map<string, Set<number>>();
  for (const { host, port } of patterns) {
    const key = host === '*' ? '*' : host.startsWith('*.') ? host.slice(1) : `=${host}`;
    const ports = places.get(key) ?? new Set();
    places.set(key, ports.add(port === '*' ? 0 : port));
  }
  return Object.fromEntries([...places].map(([key, ports]) => [key, [...ports]]));
}

/**
 * In ECMAScript 3: the interpreter of Windows knows nothing newer. `*` alone does not send loopback to the proxy, where the
 * daemon's own page is, and pages under development.
 */
const FUNCTIONS = String.raw`
function FindProxyForURL(url, host) {
  host = host.toLowerCase().replace(/^\[|\]$/g, "").replace(/\.$/, "");
  var port = portOf(url);
  if (host === OWN_NAME) return PROXY;
  var loopback = host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
  if (loopback && !has(LISTED, "=" + host, port)) return "DIRECT";
  if (!ONLY_LISTED) return isPlainHostName(host) && !covers(LISTED, host, port) ? "DIRECT" : PROXY;
  return covers(LISTED, host, port) && !covers(PASSTHROUGH, host, port) ? PROXY : "DIRECT";
}

function portOf(url) {
  var place = /^[a-z]+:\/\/([^\/?#]*)/i.exec(url);
  var port = place && /:(\d+)$/.exec(place[1]);
  return port ? Number(port[1]) : /^(https|wss):/i.test(url) ? 443 : 80;
}

function covers(places, host, port) {
  if (has(places, "=" + host, port) || has(places, "*", port)) return true;
  if (host.indexOf(":") !== -1 || /^\d+\.\d+\.\d+\.\d+$/.test(host)) return false;
  for (var dot = host.indexOf("."); dot !== -1; dot = host.indexOf(".", dot + 1))
    if (has(places, host.slice(dot), port)) return true;
  return false;
}

function has(places, key, port) {
  var ports = Object.prototype.hasOwnProperty.call(places, key) ? places[key] : [];
  for (var i = 0; i < ports.length; i++) if (ports[i] === 0 || ports[i] === port) return true;
  return false;
}
`.trimStart();
