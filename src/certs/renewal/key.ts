/** A new key like another: the same kind, the same size, the same curve. */
import { generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { RenewalFault } from './fault.ts';

// The overloads of generateKeyPair name each kind of key; here the kind is data.
const generate = promisify(generateKeyPair as (type: string, options: object, done: Generated) => void) as unknown as (
  type: string,
  options: object,
) => Promise<{ privateKey: KeyObject }>;
type Generated = (error: Error | null, publicKey: KeyObject, privateKey: KeyObject) => void;

/** @throws RenewalFault REQUEST_IMPOSSIBLE for a key that node:crypto can't make, as one on a curve with explicit parameters */
export async function newKeyLike(key: KeyObject): Promise<KeyObject> {
  const { asymmetricKeyType: type = 'unknown', asymmetricKeyDetails: details = {} } = key;
  const { modulusLength, publicExponent, namedCurve, hashAlgorithm, mgf1HashAlgorithm, saltLength } = details;
  const options = Object.entries({
    modulusLength,
    // node:crypto gives it as a bigint and takes a number; 65537 everywhere but in very old keys.
    publicExponent: publicExponent === undefined ? undefined : Number(publicExponent),
    namedCurve,
    hashAlgorithm,
    mgf1HashAlgorithm,
    saltLength,
  }).filter(([, value]) => value !== undefined);
  try {
    return (await generate(type, Object.fromEntries(options))).privateKey;
  } catch (error) {
    throw new RenewalFault('REQUEST_IMPOSSIBLE', `a new key of the kind ${type} can't be made`, { cause: error });
  }
}
