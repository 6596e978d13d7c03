/** Which certificate, policy and connections a request gets: from the store in force, the client's wishes, and the page. */
import { type Decision, decide } from '../../certs/decide.ts';
import type { StoreSnapshot, Wish } from '../../certs/store/snapshot.ts';
import { MtlsdError, policyRefused } from '../../core/errors.ts';
import type { ClientConnection, ClientStream } from '../client/stream.ts';
import { type Route, routeOf } from '../upstream/route.ts';
import { crossSiteAction, foreignPage } from './cross-site.ts';
import type { ForwardedFields } from './fields.ts';

export interface Routing {
  readonly decision: Decision;
  readonly route: Route;
  readonly wish: Wish;
  /** The page of another site that asked, and what became of it; null for everything else. */
  readonly crossSite: { readonly origin: string | null; readonly action: 'allow' | 'withhold' | 'refuse' } | null;
}

export class Router {
  readonly #store: () => StoreSnapshot;
  readonly #overrides: boolean;
  readonly #proven: boolean;
  /** The last one without wishes of its own, for each client connection; good for one generation of the store. */
  readonly #last = new WeakMap<ClientConnection, Routing>();

  /**
   * @param overrides whether Mtlsd- fields are heeded; they are taken off in any case
   * @param proven whether each profile has a password of its own
   */
  constructor(store: () => StoreSnapshot, { overrides, proven }: { overrides: boolean; proven: boolean }) {
    this.#store = store;
    this.#overrides = overrides;
    this.#proven = proven;
  }

  /** @throws MtlsdError POLICY_REFUSED, BAD_REQUEST, CLIENT_CERTIFICATE_UNKNOWN */
  route(connection: ClientConnection, stream: ClientStream, forwarded: ForwardedFields): Routing {
    const store = this.#store();
    const { authority, scheme, profile } = connection;
    if (scheme === 'http') return inTheClear(store, connection);
    const { certificate, verification, browser } = forwarded;
    const wished = certificate !== undefined || verification !== undefined;
    if (wished && browser.site !== undefined)
      throw new MtlsdError('POLICY_REFUSED', 'a web page may not send Mtlsd-Certificate or Mtlsd-Verification', {
        hint: 'name them in the store: mtlsd cert add HOST --cert FILE --key FILE, or mtlsd verification set report --host HOST',
      });
    const page = foreignPage(browser, { method: stream.method, tunnel: stream.tunnel, authority });
    if (!page && !(wished && this.#overrides)) {
      const last = this.#last.get(connection);
      if (last?.decision.generation === store.generation) return last;
      const routing = routingOf(connection, decide(store, authority, { profile }), { profile }, null);
      this.#last.set(connection, routing);
      return routing;
    }
    const wish = wished && this.#overrides ? { ...readWish(profile, forwarded), proven: this.#proven } : { profile };
    const decision = decide(store, authority, wish);
    if (!page) return routingOf(connection, decision, wish, null);
    const action = decision.choice.entry ? crossSiteAction(decision.choice.entry.crossSite, page) : 'allow';
    const crossSite = { origin: page.origin, action };
    if (action !== 'withhold') return routingOf(connection, decision, wish, crossSite);
    const name = decision.choice.entry?.name ?? '';
    const choice = {
      entry: null,
      reason: `${name} is withheld from pages of other sites (cross_site)`,
      withheld: true,
    };
    return routingOf(connection, { ...decision, choice }, wish, crossSite);
  }
}

function routingOf(
  { scheme, authority }: ClientConnection,
  decision: Decision,
  wish: Wish,
  crossSite: Routing['crossSite'],
): Routing {
  const { choice, policy } = decision;
  return { decision, wish, crossSite, route: routeOf({ scheme, authority, wish, choice, policy }) };
}

/** @throws MtlsdError POLICY_REFUSED for what the settings or the entry refuse */
export function refuseByPolicy({ decision, crossSite, route }: Routing): void {
  const where = route.authority.text;
  if (decision.action === 'refuse') throw policyRefused(where, decision.why);
  if (crossSite?.action === 'refuse')
    throw new MtlsdError('POLICY_REFUSED', `${where} is refused to pages of other sites (cross_site: refuse)`, {
      hint: `allow the page's origin: cross_site: [${crossSite.origin ?? 'ORIGIN'}] for ${decision.choice.entry?.name ?? where}`,
    });
}

/** Plain HTTP takes no part in anything but `unmatched: refuse`. */
function inTheClear(store: StoreSnapshot, connection: ClientConnection): Routing {
  const decision = decide(store, connection.authority, {});
  return routingOf(
    connection,
    {
      ...decision,
      action: decision.action === 'refuse' ? 'refuse' : 'intercept',
      choice: { entry: null, reason: 'plain HTTP never carries a certificate' },
    },
    {},
    null,
  );
}

/** @throws MtlsdError BAD_REQUEST for a Mtlsd-Verification that is neither enforce nor report */
function readWish(profile: string | undefined, { certificate, verification }: ForwardedFields): Wish {
  if (verification !== undefined && verification !== 'enforce' && verification !== 'report')
    throw new MtlsdError(
      'BAD_REQUEST',
      `Mtlsd-Verification is ${JSON.stringify(verification.slice(0, 50))}; expected enforce or report`,
      { hint: 'send Mtlsd-Verification: enforce or Mtlsd-Verification: report, or leave it out' },
    );
  return { profile, certificate, verification };
}
