/**
 * A CA of the user's own, as a rule an intermediate of a company whose clients trust its root already. Its files are checked as
 * a client certificate's are, and for what a CA needs; they are watched, and a renewed CA is used for the next leaf.
 */
import type { X509Certificate } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { CaReach } from '../../core/ca-reach.ts';
import { badConfiguration, CodedError, type MtlsdError } from '../../core/errors.ts';
import { requireOwnFolder } from '../../core/files/own-folder.ts';
import { isSelfSigned, issuedBy } from '../../core/facts.ts';
import { violationOf } from '../../core/name-constraints.ts';
import { shellWord } from '../identity/diagnosis.ts';
import type { Diagnosis } from '../identity/identity.ts';
import { loadPair, type Pair } from '../identity/load.ts';
import { partsOf } from '../identity/parts.ts';
import { readIdentityFile } from '../identity/read-file.ts';
import { fingerprints, watchedFolders } from '../store/files.ts';
import { StoreWatcher } from '../store/watch.ts';
import { loadTrust, type TrustAnchors } from '../trust.ts';
import { pemOf, readIfThere, writeBundle, writeIfOther } from './client-files.ts';
import { diagnoseCa, rootMissing } from './own-ca-diagnoses.ts';
import { signerOf } from './signer.ts';
import type { CaState, LocalCa, LocalCaOptions, OwnCaFiles } from './state.ts';

type Options = Pick<LocalCaOptions, 'passphrase' | 'onNotice' | 'onChange'>;

/**
 * Opens it; then writes `ca.pem` and `bundle.pem` in `dir`, which is made 0700.
 * @throws MtlsdError BAD_CONFIGURATION with the diagnosis
 */
export async function openOwnCa(dir: string, files: OwnCaFiles, options: Options): Promise<LocalCa> {
  const paths = { cert: path.join(dir, 'ca.pem'), key: path.join(dir, 'ca.key'), bundle: path.join(dir, 'bundle.pem') };
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await requireOwnFolder(dir);
  if ((await readIfThere(paths.key)) !== null)
    throw badConfiguration(
      `ca.cert names a CA of your own, and ${dir} holds one that mtlsd made, which clients may still trust`,
      `mtlsd ca uninstall, then: rm ${paths.cert} ${paths.key}`,
    );
  const ca = new OwnCa(paths, files, options);
  try {
    await ca.load();
  } catch (error) {
    ca.close();
    throw error;
  }
  return ca;
}

class OwnCa implements LocalCa {
  readonly certPath: string;
  readonly bundlePath: string;
  readonly rotation = null;
  readonly #files: OwnCaFiles;
  readonly #options: Options;
  readonly #watcher = new StoreWatcher(() => void this.#look());
  #current: CaState | null = null;
  #prints = '';
  #queue: Promise<void> = Promise.resolve();

  constructor(paths: { readonly cert: string; readonly bundle: string }, files: OwnCaFiles, options: Options) {
    this.certPath = paths.cert;
    this.bundlePath = paths.bundle;
    this.#files = files;
    this.#options = options;
  }

  get current(): CaState {
    if (!this.#current) throw new Error('the local CA is not open');
    return this.#current;
  }

  /** @throws MtlsdError BAD_CONFIGURATION; what is in force stays */
  async load(): Promise<void> {
    const { cert, key } = this.#files;
    const named = key === null ? [cert] : [cert, key];
    // Before reading, so that a change while it reads is not missed.
    this.#watcher.update(await watchedFolders(named));
    const prints = [...(await fingerprints(named)).values()].join(' ');
    if (prints === this.#prints) return;
    this.#prints = prints;
    const { state, warnings } = await loadState(this.#files, this.#options.passphrase ?? null);
    const before = this.#current;
    if (before && pemOf(before.chain) === pemOf(state.chain)) return;
    this.#current = state;
    if ((await writeIfOther(this.certPath, pemOf(state.anchors))) || (await readIfThere(this.bundlePath)) === null)
      await this.refreshBundle();
    for (const { code, message, hint } of warnings) this.#options.onNotice?.(`ca.cert: ${code}: ${message}; ${hint}`);
    if (before) await this.#options.onChange?.(state, 'reloaded');
  }

  /** One after another: the files of a renewal are replaced in a burst. */
  #look(): Promise<void> {
    this.#queue = this.#queue
      .then(() => this.load())
      .catch((error: unknown) => {
        const { message, hint } = error as Partial<MtlsdError>;
        this.#options.onNotice?.(`${message}; the CA before stays in use; ${hint ?? 'look at its files'}`);
      });
    return this.#queue;
  }

  refreshBundle(): Promise<void> {
    return writeBundle(this.bundlePath, this.current.anchors);
  }

  close(): void {
    this.#watcher.close();
  }
}

async function loadState(
  { cert, key }: OwnCaFiles,
  passphrase: LocalCaOptions['passphrase'],
): Promise<{ state: CaState; warnings: readonly Diagnosis[] }> {
  const problems: Diagnosis[] = [];
  const roots = loadTrust({ system: true, ca: [] });
  const at = (file: string | null): { path: string } | null => (file === null ? null : { path: file });
  const source = { cert: at(cert), key: at(key), pfx: null, alias: null, passphrase: passphrase ?? null };
  const pair = await loadPair(source, problems, roots).catch((error: unknown) => {
    if (!(error instanceof CodedError)) throw error;
    throw fault(error, error.file === key && key !== null ? 'ca.key' : 'ca.cert');
  });
  // Of a client certificate the server may have it; of a CA nobody else has it.
  const warnings = problems.filter(({ code }) => code !== 'INTERMEDIATE_MISSING');
  const [chain, root] = wholeChain(pair, roots);
  const found = [...warnings, ...diagnoseCa(chain, pair, cert)];
  const [wrong] = found.filter(({ code, severity }) => severity === 'error' || code === 'FILE_READABLE_BY_EVERYONE');
  if (wrong) throw fault(wrong, wrong.file === key && key !== null ? 'ca.key' : 'ca.cert');
  const state: CaState = {
    signer: signerOf(chain, pair.key),
    next: null,
    anchors: [chain.at(-1) ?? pair.leaf],
    refused: [pair.leaf],
    reach: reachOf(chain),
    chain,
  };
  return { state, warnings: root ? found : [...found, rootMissing(chain, cert)] };
}

/** With the root, of the file or of the system; without one where nobody has it. */
function wholeChain(
  { leaf, chain, root }: Pair,
  known: TrustAnchors,
): [chain: [X509Certificate, ...X509Certificate[]], root: X509Certificate | null] {
  const [, ...above] = chain;
  const top = chain.at(-1) ?? leaf;
  if (isSelfSigned(top)) return [[leaf, ...above], top];
  const end = root ?? known.certificates.find((candidate) => issuedBy(top, candidate)) ?? null;
  return [[leaf, ...above, ...(end ? [end] : [])], end];
}

function fault({ code, message, hint, file }: Omit<Diagnosis, 'severity'>, setting: string): MtlsdError {
  const place = code.startsWith('PASSPHRASE') ? 'ca.passphrase' : setting;
  const apart = shellWord(`${file}.pem`);
  const next =
    code === 'PASSPHRASE_MISSING'
      ? 'set ca.passphrase'
      : hint.includes('as a PFX') && file !== null
        ? `take it apart, then name that: openssl pkcs12 -in ${shellWord(file)} -out ${apart} && chmod 600 ${apart}`
        : hint;
  return badConfiguration(`${place}: ${code}: ${message}`, next);
}

function reachOf(chain: readonly X509Certificate[]): CaState['reach'] {
  return {
    permits: ({ host, kind }) =>
      chain.every((ca) => violationOf(ca, [`${kind === 'name' ? 'DNS' : 'IP'}:${host}`]) === null),
    limits: 'the name constraints of ca.cert exclude it',
  };
}

/** What it may sign for, without its key: for `mtlsd match` where no daemon runs. @throws CodedError */
export async function ownReach(cert: string): Promise<Pick<CaReach, 'permits' | 'limits'>> {
  return reachOf(partsOf(await readIdentityFile({ path: cert }, false), 'cert').certificates);
}
