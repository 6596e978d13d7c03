/**
 * The files of the CA that mtlsd makes. They are the only state of a rotation too: a second CA, which clients trust beside the first
 * until it takes over. Each step is one atomic write, so that the next start continues wherever a crash came:
 *
 * | | step | after a crash behind it |
 * |---|---|---|
 * | begin | `next.pem`: the second CA, its key, and when it takes over | under way; `ca.pem` gets both certificates |
 * | take over | `previous.pem` gets the certificate of the first | still under way |
 * | | `ca.key`: the key of the second | the rest is done at the start: the key tells which CA signs |
 * | | `ca.pem`: the second alone; `next.pem` goes | over |
 * | cancel | `ca.key`: the key of the first; `ca.pem`: the first alone; `next.pem` goes | under way as before, or over |
 */
import type { X509Certificate } from 'node:crypto';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { CaReach } from '../../core/ca-reach.ts';
import { badConfiguration, CodedError } from '../../core/errors.ts';
import { basicConstraints, certificateParts, mayUseKey, OID } from '../../core/extensions.ts';
import { rfc3339 } from '../../core/facts.ts';
import { createFile, removeLeftovers, syncFolder, writeAtomically } from '../../core/files/atomic-write.ts';
import type { Secret } from '../../core/secret.ts';
import { detect } from '../identity/detect.ts';
import { type Parts, partsOf } from '../identity/parts.ts';
import { pemOf, readIfThere, writeIfOther } from './client-files.ts';
import { keyText, openStoredKey, readOwnFile, type StoredKey } from './key-file.ts';
import { makeCa, type Pair } from './make.ts';

/** The second CA of a rotation. */
export interface Next extends Pair {
  readonly takesOver: Date;
}

export interface OpenedFiles {
  readonly pair: Pair;
  readonly next: Next | null;
  /** Earlier CAs, the latest first. */
  readonly previous: readonly X509Certificate[];
  /** Those that were not encrypted although there is a passphrase, and now are. */
  readonly encrypted: readonly string[];
}

export class MadeFiles {
  readonly cert: string;
  readonly bundle: string;
  readonly #key: string;
  readonly #next: string;
  readonly #previous: string;
  readonly #reach: CaReach;
  readonly #passphrase: Secret | null;
  readonly #anew: string;

  constructor(dir: string, reach: CaReach, passphrase: Secret | null) {
    this.cert = path.join(dir, 'ca.pem');
    this.bundle = path.join(dir, 'bundle.pem');
    this.#key = path.join(dir, 'ca.key');
    this.#next = path.join(dir, 'next.pem');
    this.#previous = path.join(dir, 'previous.pem');
    this.#reach = reach;
    this.#passphrase = passphrase;
    this.#anew = `to make a new one, remove ${this.cert} and ${this.#key}, start again, and let clients trust it instead`;
  }

  /**
   * Makes a CA where there is none, and continues a rotation.
   * @throws MtlsdError BAD_CONFIGURATION where it can't be used
   */
  async open(): Promise<OpenedFiles> {
    // What a killed writer left may hold a key.
    for (const file of [this.#key, this.#next]) await removeLeftovers(file);
    const stored = await this.#stored();
    if (stored === null) return { pair: await this.#make(), next: null, previous: [], encrypted: [] };
    const next = await this.#readNext();
    const candidates = [...stored.trusted, ...(next ? [next.certificate] : [])];
    const signs = candidates.find((certificate) => certificate.checkPrivateKey(stored.key));
    if (!signs) throw badConfiguration(`${this.#key} is not the key of ${this.cert}`, this.#anew);
    const taken = next !== null && isSame(signs, next.certificate);
    if (next && (taken || next.takesOver.getTime() <= Date.now())) {
      await this.takeOver(taken ? null : signs, next);
      return this.open();
    }
    const pair = { certificate: signs, key: stored.key };
    this.#check(pair);
    if (next) await writeIfOther(this.cert, pemOf([signs, next.certificate]));
    return { pair, next, previous: await this.#earlierThan(signs), encrypted: await this.#encrypt(pair, stored, next) };
  }

  async begin(signs: X509Certificate, takesOver: Date): Promise<Next> {
    const others = [signs, ...(await this.#earlierThan(signs))];
    const next = { ...(await makeCa(this.#reach.constraints, others)), takesOver };
    await this.#writeNext(next);
    try {
      await writeIfOther(this.cert, pemOf([signs, next.certificate]));
    } catch (error) {
      await rm(this.#next, { force: true }); // or the next start would continue what was said to have failed
      throw error;
    }
    return next;
  }

  /** @param signs until now; null where that step is done */
  async takeOver(signs: X509Certificate | null, next: Next): Promise<void> {
    if (signs) await writeIfOther(this.#previous, pemOf([signs, ...(await this.#earlierThan(signs))]));
    await writeAtomically(this.#key, await keyText(next.key, this.#passphrase), { mode: 0o600 });
    await this.#end(next.certificate);
  }

  async cancel({ certificate, key }: Pair): Promise<void> {
    // A take-over that failed half-way has written the other.
    await writeAtomically(this.#key, await keyText(key, this.#passphrase), { mode: 0o600 });
    await this.#end(certificate);
  }

  async #end(signs: X509Certificate): Promise<void> {
    await writeIfOther(this.cert, pemOf([signs]));
    await rm(this.#next, { force: true });
    await syncFolder(path.dirname(this.#next));
  }

  async #make(): Promise<Pair> {
    await rm(this.#next, { force: true }); // of a CA that was removed
    const pair = await makeCa(this.#reach.constraints);
    // O_EXCL: of two starts at once one makes the key, and the other fails rather than write over it.
    if (!(await createFile(this.#key, await keyText(pair.key, this.#passphrase), 0o600)))
      throw badConfiguration(
        `${this.#key} appeared while it was being made`,
        'another mtlsd starts in this folder; start again',
      );
    await writeAtomically(this.cert, pair.certificate.toString(), { mode: 0o644 });
    return pair;
  }

  async #stored(): Promise<(StoredKey & { readonly trusted: readonly X509Certificate[] }) | null> {
    const [key, pem] = await Promise.all([readOwnFile(this.#key), readIfThere(this.cert)]);
    if (key === null && pem === null) return null;
    if (key === null || pem === null) {
      const [there, missing] = key === null ? [this.cert, this.#key] : [this.#key, this.cert];
      throw badConfiguration(
        `the local CA is half there: ${missing} is missing`,
        `put it back, or remove ${there} too`,
      );
    }
    const { keys } = partsIn(key, this.#key, this.#anew);
    const stored = await openStoredKey(keys[0], this.#key, this.#passphrase, this.#anew);
    return { ...stored, trusted: partsIn(Buffer.from(pem), this.cert, this.#anew).certificates };
  }

  async #readNext(): Promise<(Next & StoredKey) | null> {
    const bytes = await readOwnFile(this.#next);
    if (bytes === null) return null;
    const without = `to go on without the new CA: rm ${this.#next}`;
    const { certificates, keys } = partsIn(bytes, this.#next, without);
    const [certificate] = certificates;
    const takesOver = new Date(TAKES_OVER.exec(bytes.toString('latin1'))?.[1] ?? NaN);
    if (!certificate || Number.isNaN(takesOver.getTime()))
      throw badConfiguration(`${this.#next} is not what mtlsd wrote there`, without);
    return { ...(await openStoredKey(keys[0], this.#next, this.#passphrase, without)), certificate, takesOver };
  }

  async #writeNext({ certificate, key, takesOver }: Next): Promise<void> {
    const pem = certificate.toString() + (await keyText(key, this.#passphrase));
    const text = `takes over: ${takesOver.toISOString()}\n${pem}`;
    await writeAtomically(this.#next, text, { mode: 0o600 });
  }

  /** A take-over that did not come to its end has written the present one there. */
  async #earlierThan(signs: X509Certificate): Promise<readonly X509Certificate[]> {
    const pem = await readIfThere(this.#previous);
    const found = pem ? partsIn(Buffer.from(pem), this.#previous, `rm ${this.#previous}`).certificates : [];
    return found.filter((certificate) => !isSame(certificate, signs));
  }

  async #encrypt(pair: Pair, stored: StoredKey, next: (Next & StoredKey) | null): Promise<readonly string[]> {
    const done = [];
    if (this.#passphrase && !stored.encrypted) {
      await writeAtomically(this.#key, await keyText(pair.key, this.#passphrase), { mode: 0o600 });
      done.push(this.#key);
    }
    if (this.#passphrase && next?.encrypted === false) {
      await this.#writeNext(next);
      done.push(this.#next);
    }
    return done;
  }

  #check({ certificate, key }: Pair): void {
    if (key.asymmetricKeyType !== 'ec' && key.asymmetricKeyType !== 'rsa')
      throw badConfiguration(
        `${this.#key} is of type ${key.asymmetricKeyType}; the local CA signs with EC or RSA`,
        this.#anew,
      );
    const parts = certificateParts(certificate);
    if (basicConstraints(parts)?.ca !== true || !mayUseKey(parts, 'keyCertSign'))
      throw badConfiguration(`${this.cert} is not the certificate of a CA`, this.#anew);
    const constraints = parts.extensions.get(OID.nameConstraints)?.value ?? null;
    const { constraints: wanted } = this.#reach;
    if (!(wanted && constraints ? wanted.equals(constraints) : wanted === constraints))
      throw badConfiguration(
        `${this.cert} ${constraints ? 'may sign for other names than ca.permitted lists' : 'may sign for every name, and ca.permitted lists some'}`,
        `set ca.permitted in mtlsd.yaml back, or ${this.#anew}`,
      );
    const { validFromDate, validToDate } = certificate;
    if (validToDate.getTime() <= Date.now())
      throw badConfiguration(`the local CA expired at ${rfc3339(validToDate)}: ${this.cert}`, this.#anew);
    if (validFromDate.getTime() > Date.now())
      throw badConfiguration(
        `the local CA is valid from ${rfc3339(validFromDate)} only`,
        `set this machine's clock, or ${this.#anew}`,
      );
  }
}

const TAKES_OVER = /^takes over: (\S+)$/m;

const isSame = (a: X509Certificate, b: X509Certificate): boolean => a.fingerprint256 === b.fingerprint256;

function partsIn(bytes: Buffer, file: string, otherwise: string): Parts {
  try {
    return partsOf({ ...detect(bytes), file, bytes, problems: [] }, 'cert');
  } catch (error) {
    if (error instanceof CodedError) throw badConfiguration(error.message, otherwise, error);
    throw error;
  }
}
