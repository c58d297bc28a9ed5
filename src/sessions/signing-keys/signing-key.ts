import { calculateJwkThumbprint, exportJWK } from 'jose';
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type AsymmetricKeyDetails,
  type KeyObject,
} from 'node:crypto';
import { promisify } from 'node:util';

/** What we sign with: ECDSA on P-256, RSA-PSS and RSA PKCS #1 v1.5 with SHA-256 (RFC 7518 3.3 to 3.5). */
export const SIGNING_ALGORITHMS = ['ES256', 'PS256', 'RS256'] as const;
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];

/** `next`: published, not used yet. `active`: signs. `retired`: accepted until the last token of it has ended. */
export type SigningKeyState = 'next' | 'active' | 'retired';

export interface VerificationKey {
  /** The thumbprint of the public key (RFC 7638): a key cannot be passed off as another one. */
  readonly kid: string;
  readonly algorithm: SigningAlgorithm;
  readonly publicKey: KeyObject;
}

export interface SigningKey extends VerificationKey {
  readonly privateKey: KeyObject;
}

/** A member of a JWK Set (RFC 7517): public members, and what a verifier must know to pin the key. */
export type PublicJwk = (
  | { readonly kty: 'EC'; readonly crv: string; readonly x: string; readonly y: string }
  | { readonly kty: 'RSA'; readonly n: string; readonly e: string }
) & { readonly kid: string; readonly alg: SigningAlgorithm; readonly use: 'sig' };

/** RFC 7518 3.3 and 3.5 demand 2048; 3072 is what 128 bits of security take (NIST SP 800-57 part 1, table 2). */
const LEAST_RSA_BITS = 2048;
const RSA_BITS = 3072;

const generate = promisify(generateKeyPair);

export async function makeSigningKey(algorithm: SigningAlgorithm = 'ES256'): Promise<SigningKey> {
  const { privateKey } =
    algorithm === 'ES256'
      ? await generate('ec', { namedCurve: 'P-256' })
      : await generate('rsa', { modulusLength: RSA_BITS });
  return signingKeyOf(privateKey, algorithm);
}

/** PKCS#8: what is sealed and stored. */
export function exportPrivateKey({ privateKey }: SigningKey): Buffer {
  return privateKey.export({ type: 'pkcs8', format: 'der' });
}

/** @returns undefined when the bytes are no private key that fits the algorithm, or not the one that `kid` names. */
export async function importSigningKey(
  pkcs8: Buffer,
  kid: string,
  algorithm: SigningAlgorithm,
): Promise<SigningKey | undefined> {
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  } catch {
    return undefined;
  }
  if (!fits(privateKey, algorithm)) return undefined;
  const key = await signingKeyOf(privateKey, algorithm);
  return key.kid === kid ? key : undefined;
}

/** A weaker or another key under the name of an algorithm is refused (RFC 8725 3.5), also one that we sealed. */
export function fits(
  { asymmetricKeyType: type, asymmetricKeyDetails = {} }: KeyObject,
  algorithm: SigningAlgorithm,
): boolean {
  const { namedCurve, modulusLength = 0, publicExponent }: AsymmetricKeyDetails = asymmetricKeyDetails;
  return algorithm === 'ES256'
    ? type === 'ec' && namedCurve === 'prime256v1'
    : type === 'rsa' && modulusLength >= LEAST_RSA_BITS && publicExponent === 65_537n;
}

/** Only what is public. @throws TypeError when the key is neither on a curve nor RSA. */
export async function publicJwkOf({ publicKey, kid, algorithm }: VerificationKey): Promise<PublicJwk> {
  const { kty, crv, x, y, n, e } = await exportJWK(publicKey);
  if (kty === 'EC' && crv && x && y) return { kty: 'EC', crv, x, y, kid, alg: algorithm, use: 'sig' };
  if (kty === 'RSA' && n && e) return { kty: 'RSA', n, e, kid, alg: algorithm, use: 'sig' };
  throw new TypeError('publicJwkOf: neither an RSA key nor one on an elliptic curve.');
}

async function signingKeyOf(privateKey: KeyObject, algorithm: SigningAlgorithm): Promise<SigningKey> {
  const publicKey = createPublicKey(privateKey);
  const kid = await calculateJwkThumbprint(await exportJWK(publicKey), 'sha256');
  return { kid, algorithm, publicKey, privateKey };
}
