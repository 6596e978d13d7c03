/**
 * The local CA that mtlsd makes: on the first start for this installation alone, and opened on every other. Who holds its key can
 * pose as any server to the clients that trust it, so the key is 0600, and one that others could have read or replaced
 * is refused rather than used.
 */
import type { X509Certificate } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { type CaReach, WITHOUT_LIMITS } from '../../core/ca-reach.ts';
import { requireOwnFolder } from '../../core/files/own-folder.ts';
import { readIfThere, writeBundle } from './client-files.ts';
import { readCaPassphrase } from './key-file.ts';
import { MadeFiles, type Next, type OpenedFiles } from './made-files.ts';
import { type Signer, signerOf } from './signer.ts';
import type { CaChange, CaState, LocalCa, LocalCaOptions, Rotation } from './state.ts';

/** A clock that is set, or a machine that slept, shows within this time. It is also far below setTimeout's 2^31 ms. */
const LONGEST_WAIT_MS = 60 * 60 * 1000;
/** After a take-over that failed, as a rule for want of space on the disk. */
const RETRY_MS = 60_000;

/**
 * Opens the CA in `dir` (`ca.pem`, `ca.key`), or makes it where neither file is there; then writes `bundle.pem` where it
 * is missing. The folder is made 0700 and the key 0600 whatever the umask.
 * A key that is not encrypted is encrypted where there is a passphrase.
 * @throws MtlsdError BAD_CONFIGURATION where the key may be known to others, does not pair, is no CA or has expired; the
 *   hint says what to do
 */
export async function openMadeCa(dir: string, options: Omit<LocalCaOptions, 'own'>): Promise<LocalCa> {
  const passphrase = await readCaPassphrase(options.passphrase ?? null);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await requireOwnFolder(dir);
  const reach = options.reach ?? WITHOUT_LIMITS;
  const files = new MadeFiles(dir, reach, passphrase);
  const opened = await files.open();
  for (const file of opened.encrypted)
    options.onNotice?.(`${file} was not encrypted and now is; copies of it, such as backups, are not`);
  const ca = new MadeCa(files, reach, opened, options);
  // After a take-over at the start it has the first CA.
  if (!((await readIfThere(files.bundle)) ?? '').endsWith(String(ca.current.anchors.at(-1)))) await ca.refreshBundle();
  return ca;
}

class MadeCa implements LocalCa {
  readonly certPath: string;
  readonly bundlePath: string;
  readonly rotation: Rotation;
  readonly #files: MadeFiles;
  readonly #reach: CaReach;
  readonly #options: Pick<LocalCaOptions, 'onNotice' | 'onChange'>;
  #current: CaState;
  #next: Next | null;
  #previous: readonly X509Certificate[];
  #timer: NodeJS.Timeout | null = null;
  #queue: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(
    files: MadeFiles,
    reach: CaReach,
    { pair, next, previous }: OpenedFiles,
    options: Pick<LocalCaOptions, 'onNotice' | 'onChange'>,
  ) {
    this.certPath = files.cert;
    this.bundlePath = files.bundle;
    this.#files = files;
    this.#reach = reach;
    this.#options = options;
    this.#next = next;
    this.#previous = previous;
    this.#current = this.#stateOf(signerOf([pair.certificate], pair.key));
    this.rotation = {
      begin: (overlapMs) => this.#alone(() => this.#begin(overlapMs)),
      finish: () => this.#alone(() => this.#finish()),
      cancel: () => this.#alone(() => this.#cancel()),
    };
    this.#arm(LONGEST_WAIT_MS);
  }

  get current(): CaState {
    return this.#current;
  }

  refreshBundle(): Promise<void> {
    return writeBundle(this.bundlePath, this.#current.anchors);
  }

  close(): void {
    this.#closed = true;
    if (this.#timer) clearTimeout(this.#timer);
  }

  async #begin(overlapMs: number): Promise<boolean> {
    if (this.#next) return false;
    const { signer } = this.#current;
    const end = Math.min(Date.now() + overlapMs, signer.certificate.validToDate.getTime());
    this.#next = await this.#files.begin(signer.certificate, new Date(end));
    await this.#change(signer, 'rotating');
    return true;
  }

  async #finish(): Promise<boolean> {
    const next = this.#next;
    if (!next) return false;
    const { certificate } = this.#current.signer;
    await this.#files.takeOver(certificate, next);
    this.#next = null;
    this.#previous = [certificate, ...this.#previous];
    await this.#change(signerOf([next.certificate], next.key), 'taken over');
    return true;
  }

  async #cancel(): Promise<boolean> {
    if (!this.#next) return false;
    const { signer } = this.#current;
    await this.#files.cancel({ certificate: signer.certificate, key: signer.issuer.key });
    this.#next = null;
    await this.#change(signer, 'cancelled');
    return true;
  }

  async #change(signer: Signer, why: CaChange): Promise<void> {
    this.#current = this.#stateOf(signer);
    this.#arm(LONGEST_WAIT_MS);
    // It takes place all the same; the bundle is written again at each start.
    await this.refreshBundle().catch((error: Error) =>
      this.#options.onNotice?.(`${this.bundlePath} can't be written: ${error.message}`),
    );
    await this.#options.onChange?.(this.#current, why);
  }

  #stateOf(signer: Signer): CaState {
    const next = this.#next && {
      signer: signerOf([this.#next.certificate], this.#next.key),
      takesOver: this.#next.takesOver,
    };
    const anchors = [signer.certificate, ...(next ? [next.signer.certificate] : [])] as const;
    return {
      signer,
      next,
      anchors,
      refused: [...anchors, ...this.#previous],
      reach: this.#reach,
      chain: [signer.certificate],
    };
  }

  #arm(mostMs: number): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#closed || !this.#next) return;
    const ms = Math.max(0, this.#next.takesOver.getTime() - Date.now());
    this.#timer = setTimeout(() => void this.#tick(), Math.min(ms, mostMs)).unref();
  }

  async #tick(): Promise<void> {
    try {
      if (this.#next && this.#next.takesOver.getTime() <= Date.now()) await this.rotation.finish();
      else this.#arm(LONGEST_WAIT_MS);
    } catch (error) {
      this.#options.onNotice?.(`the new CA can't take over: ${(error as Error).message}; tried again in a minute`);
      if (!this.#closed) this.#timer = setTimeout(() => void this.#tick(), RETRY_MS).unref();
    }
  }

  /** One after another. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#queue.then(work);
    this.#queue = run.catch(() => {});
    return run;
  }
}
