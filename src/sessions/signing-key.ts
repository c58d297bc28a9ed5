import { calculateJwkThumbprint, exportJWK } from 'jose';
import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';

/** What we sign with: ECDSA on P-256 (RFC 7518 3.4). */
export const SIGNING_ALGORITHMS = ['ES256'] as const;
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];

/** `next`: published, not used yet. `active`: signs. `retired`: neither signs nor verifies. */
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
export interface PublicJwk {
  readonly kty: string;
  readonly crv: string;
  readonly x: string;
  readonly y: string;
  readonly kid: string;
  readonly alg: SigningAlgorithm;
  readonly use: 'sig';
}

const generate = promisify(generateKeyPair);

export async function makeSigningKey(): Promise<SigningKey> {
  const { privateKey } = await generate('ec', { namedCurve: 'P-256' });
  return signingKeyOf(privateKey, 'ES256');
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
  const { asymmetricKeyType, asymmetricKeyDetails } = privateKey;
  // RFC 7518 3.4 ties ES256 to this curve; a weaker or another key under that name is refused (RFC 8725 3.5).
  if (asymmetricKeyType !== 'ec' || asymmetricKeyDetails?.namedCurve !== 'prime256v1') return undefined;
  const key = await signingKeyOf(privateKey, algorithm);
  return key.kid === kid ? key : undefined;
}

/** Only what is public. @throws TypeError when the key is not on a curve. */
export async function publicJwkOf({ publicKey, kid, algorithm }: VerificationKey): Promise<PublicJwk> {
  const { kty, crv, x, y } = await exportJWK(publicKey);
  if (!kty || !crv || !x || !y) throw new TypeError('publicJwkOf: not a key on an elliptic curve.');
  return { kty, crv, x, y, kid, alg: algorithm, use: 'sig' };
}

async function signingKeyOf(privateKey: KeyObject, algorithm: SigningAlgorithm): Promise<SigningKey> {
  const publicKey = createPublicKey(privateKey);
  const kid = await calculateJwkThumbprint(await exportJWK(publicKey), 'sha256');
  return { kid, algorithm, publicKey, privateKey };
}
