/**
 * Fetches the CRLs that the store names by URL: ahead of need, so that no connection waits for one. What came is kept in the
 * home folder, is refreshed before its time is over, and stays when a server is down, sends garbage, or lies.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { rfc3339 } from '../../core/facts.ts';
import { writeAtomically } from '../../core/files/atomic-write.ts';
import type { CrlBook } from '../../core/revocation/book.ts';
import type { Crl } from '../../core/revocation/crl.ts';
import { pemBlocks, toPem } from '../identity/pem.ts';
import { readBounded } from '../identity/read-file.ts';
import { type ConnectPlain, download } from './download.ts';
import { CrlUnusable, MOST_CRL_BYTES, readCrls } from './files.ts';

export interface CrlFetcherOptions {
  readonly book: CrlBook;
  /** Made 0700 where it is missing. */
  readonly folder: string;
  readonly connect: ConnectPlain;
  /** Those of every host. */
  readonly anchors: () => readonly X509Certificate[];
  /** The available CRLs have changed. */
  readonly onUpdated: (url: string, crls: readonly Crl[]) => void;
  readonly onFailed: (url: string, message: string, next: Date) => void;
  /** For all of one fetch; 30 s when left out. */
  readonly timeoutMs?: number;
}

export interface CrlState {
  readonly url: string;
  /** Why the last fetch failed; null where it did not. */
  readonly lastError: string | null;
  readonly next: Date | null;
}

interface Source {
  readonly url: string;
  readonly abort: AbortController;
  failures: number;
  lastError: string | null;
  next: Date | null;
  timer: NodeJS.Timeout | null;
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** Part of the time of a CRL that is left when the next one is fetched; a third of it is jitter, for fleets. */
const SPARE = 0.2;
/** A machine that slept sees within this time what is due. */
const LONGEST_WAIT_MS = MINUTE_MS;

export class CrlFetcher {
  readonly #options: CrlFetcherOptions;
  readonly #sources = new Map<string, Source>();
  #closed = false;

  constructor(options: CrlFetcherOptions) {
    this.#options = options;
  }

  /** Keeps these URLs current from now on, and forgets all others. Resolves when what was kept of them is available. */
  async update(urls: ReadonlySet<string>): Promise<void> {
    for (const [url, source] of this.#sources) if (!urls.has(url)) this.#drop(url, source);
    const added = [...urls].filter((url) => !this.#sources.has(url));
    if (added.length === 0 && this.#sources.size === urls.size && this.#sources.size === 0) return;
    await mkdir(this.#options.folder, { recursive: true, mode: 0o700 });
    await this.#sweep(urls);
    for (const url of added) {
      const source: Source = {
        url,
        abort: new AbortController(),
        failures: 0,
        lastError: null,
        next: null,
        timer: null,
      };
      this.#sources.set(url, source);
      const kept = await this.#kept(url);
      if (kept.length > 0) this.#options.book.put(url, kept);
      this.#schedule(source, dueAt(kept, Date.now()));
    }
  }

  states(): CrlState[] {
    return [...this.#sources.values()].map(({ url, lastError, next }) => ({ url, lastError, next }));
  }

  close(): void {
    this.#closed = true;
    for (const [url, source] of this.#sources) this.#drop(url, source);
  }

  #drop(url: string, source: Source): void {
    this.#sources.delete(url);
    source.abort.abort();
    if (source.timer) clearTimeout(source.timer);
  }

  #schedule(source: Source, at: number): void {
    if (this.#closed || source.abort.signal.aborted) return;
    source.next = new Date(at);
    const waitMs = at - Date.now();
    const look = (): void => {
      const left = at - Date.now();
      // More than at first: the clock was set back, and nobody knows by how much.
      if (left <= 0 || left > waitMs) void this.#refresh(source);
      else source.timer = setTimeout(look, Math.min(left, LONGEST_WAIT_MS)).unref();
    };
    look();
  }

  /** Never rejects. */
  async #refresh(source: Source): Promise<void> {
    const { url } = source;
    try {
      const limit = AbortSignal.timeout(this.#options.timeoutMs ?? 30_000);
      const signal = AbortSignal.any([source.abort.signal, limit]);
      const { bytes, crls } = await download(url, this.#options.connect, signal);
      const held = this.#accepted(url, crls);
      if (source.abort.signal.aborted) return;
      this.#options.book.put(url, held);
      source.failures = 0;
      source.lastError = null;
      // What stays beside it is not in it, and is what the next run has to begin with.
      if (held.length === crls.length) await this.#keep(url, bytes, crls);
      this.#schedule(source, Math.max(dueAt(crls, Date.now()), Date.now() + MINUTE_MS));
      this.#options.onUpdated(url, crls);
    } catch (error) {
      if (source.abort.signal.aborted) return;
      source.failures += 1;
      source.lastError = (error as Error).message;
      const wait = Math.min(2 ** (source.failures - 1), 60) * MINUTE_MS * (0.75 + Math.random() / 2);
      this.#schedule(source, Date.now() + wait);
      this.#options.onFailed(url, source.lastError, new Date(Date.now() + wait));
    }
  }

  /** The folder may be full or gone: the CRL is available all the same, until the daemon ends. */
  async #keep(url: string, bytes: Buffer, crls: readonly Crl[]): Promise<void> {
    const issuers = crls.flatMap((crl) => this.#issuersOf(crl).filter((issuer) => crl.isOf(issuer)));
    const own = bytes[0] === 0x30 ? toPem('X509 CRL', bytes) : bytes.toString('latin1');
    const text = [own, ...new Set(issuers.map((issuer) => issuer.toString()))].join('');
    await writeAtomically(this.#fileOf(url), text, { mode: 0o600 }).catch(() => {});
  }

  #issuersOf(crl: Crl): X509Certificate[] {
    return this.#options.book.issuersOf(crl.issuer, this.#options.anchors());
  }

  /**
   * The new ones, and those before them that they don't replace for sure: a CRL whose issuer is not known here can't be verified
   * until a server shows that CA, and until then it must not push out one that could; nor may one of another CA.
   * @throws CrlUnusable for one that is forged, or older than what is here
   */
  #accepted(url: string, crls: readonly Crl[]): readonly Crl[] {
    const before = this.#options.book.get(url);
    const likeOf = (crl: Crl) => (each: Crl) => each.issuer.equals(crl.issuer) && each.scope === crl.scope;
    const accepted = crls.flatMap((crl) => {
      const same = before.filter(likeOf(crl));
      if (this.#issuersOf(crl).length === 0) return [crl, ...same.slice(-1)];
      if (!this.#isVerified(crl)) throw new CrlUnusable(`the CRL of ${url} is not signed by its issuer`);
      const newer = same.find((each) => each.thisUpdate > crl.thisUpdate && this.#isVerified(each));
      if (newer)
        throw new CrlUnusable(
          `the CRL of ${url} is of ${rfc3339(crl.thisUpdate)}, older than the one that is here, of ${rfc3339(newer.thisUpdate)}`,
        );
      return [crl];
    });
    return [...accepted, ...before.filter((each) => !crls.some(likeOf(each)) && this.#isVerified(each))];
  }

  #isVerified(crl: Crl): boolean {
    return this.#issuersOf(crl).some((issuer) => crl.isOf(issuer));
  }

  #fileOf(url: string): string {
    return path.join(this.#options.folder, `${createHash('sha256').update(url).digest('hex').slice(0, 32)}.pem`);
  }

  /** What an earlier run kept; none where that can't be read. */
  async #kept(url: string): Promise<readonly Crl[]> {
    try {
      const { bytes } = await readBounded(this.#fileOf(url), 2 * MOST_CRL_BYTES);
      for (const { label, der } of pemBlocks(bytes.toString('latin1'), url))
        if (label === 'CERTIFICATE') this.#options.book.learn(new X509Certificate(der));
      return await readCrls(bytes, url);
    } catch {
      return [];
    }
  }

  async #sweep(urls: ReadonlySet<string>): Promise<void> {
    const named = new Set([...urls].map((url) => path.basename(this.#fileOf(url))));
    for (const name of await readdir(this.#options.folder))
      if (/^[0-9a-f]{32}\.pem$/.test(name) && !named.has(name))
        await rm(path.join(this.#options.folder, name), { force: true });
  }
}

/** Now where there is none; else ahead of the end of the first that ends, which may be over, and once a day at least. */
function dueAt(crls: readonly Crl[], now: number): number {
  if (crls.length === 0) return now;
  const dues = crls.map(({ thisUpdate, nextUpdate }) => {
    const life = Math.max(nextUpdate.getTime() - thisUpdate.getTime(), 0);
    return nextUpdate.getTime() - life * SPARE * (1 - Math.random() / 3);
  });
  return Math.min(...dues, now + DAY_MS);
}
