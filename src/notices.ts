/** Log lines and metrics of certificates and their store; docs/log-events.md names the fields. */
import type { Metrics } from './admin/metrics.ts';
import type { CaChange, CaState } from './certs/local-ca/state.ts';
import type { RenewalFailed, Renewed, RenewalNotice } from './certs/renewal/renewer.ts';
import { distinctProblems } from './certs/store/changes.ts';
import type { ExpiryNotice } from './certs/store/expiry.ts';
import type { StoreSnapshot } from './certs/store/snapshot.ts';
import type { StoreChange } from './certs/store/store.ts';
import { certificateFacts, rfc3339 } from './core/facts.ts';
import type { Log } from './core/log.ts';
import type { Crl } from './core/revocation/crl.ts';
import { proxyName, type UpstreamProxy } from './proxy/upstream/proxy.ts';
import type { FileProblem } from './core/yaml/read.ts';

export function createNotices(log: Log, metrics: Metrics) {
  return {
    loaded(this: void, { entries }: StoreSnapshot, change: StoreChange): void {
      metrics.reload(true);
      log('info', 'store.loaded', change);
      for (const { name, entries: count, problem } of distinctProblems(entries)) {
        const message = count > 1 ? `${problem.message} (${count} entries)` : problem.message;
        log(problem.severity === 'error' ? 'error' : 'warn', 'store.problem', { name, ...problem, message });
      }
    },
    rejected(this: void, problems: readonly FileProblem[]): void {
      metrics.reload(false);
      log('error', 'store.rejected', { problems });
    },
    expiry(this: void, notice: ExpiryNotice): void {
      const { event, name, subject, fingerprint256, daysLeft, notAfter, threshold } = notice;
      log(event === 'certificate.expired' ? 'error' : 'warn', event, {
        name,
        subject,
        fingerprint256,
        days_left: daysLeft,
        not_after: notAfter.toISOString(),
        threshold,
      });
    },
    renewed(this: void, renewed: Renewed): void {
      metrics.renewal(renewed.name, true);
      log('info', 'certificate.renewed', fieldsOf(renewed, { fingerprint_after: renewed.fingerprintAfter }));
    },
    renewalFailed(this: void, failed: RenewalFailed): void {
      const { name, code, message, hint, failures, notAfter } = failed;
      metrics.renewal(name, false);
      const level = notAfter.getTime() < Date.now() ? 'error' : 'warn';
      log(level, 'certificate.renewal_failed', fieldsOf(failed, { code, message, hint, failures }));
    },
    caChanged(this: void, { signer, anchors, next }: CaState, why: CaChange): void {
      const { subject, fingerprint256 } = certificateFacts(signer.certificate);
      log('info', 'ca.changed', {
        why,
        subject,
        fingerprint256,
        anchors: anchors.map((anchor) => anchor.fingerprint256),
        ...(next && { takes_over: next.takesOver.toISOString() }),
      });
    },
    proxyChanged(this: void, proxy: UpstreamProxy): void {
      const facts = proxy.identity?.facts[0];
      const { subject = null, fingerprint256 = null } = facts ?? {};
      log('info', 'proxy.changed', { proxy: proxyName(proxy), subject, fingerprint256 });
    },
    crlUpdated(this: void, url: string, crls: readonly Crl[]): void {
      const facts = crls.map(({ thisUpdate, nextUpdate, entries }) => ({
        this_update: rfc3339(thisUpdate),
        next_update: rfc3339(nextUpdate),
        entries,
      }));
      log('info', 'crl.updated', { url, crls: facts });
    },
    crlFailed(this: void, url: string, message: string, next: Date): void {
      log('warn', 'crl.failed', { url, message, next: next.toISOString() });
    },
  };
}

function fieldsOf({ name, subject, via, fingerprintBefore, notAfter, next }: RenewalNotice, outcome: object) {
  const times = { not_after: notAfter.toISOString(), next: next.toISOString() };
  return { name, subject, via, fingerprint_before: fingerprintBefore, ...outcome, ...times };
}
