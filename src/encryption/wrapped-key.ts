import { createSecretKey, randomBytes } from 'node:crypto';
import { XAES_KEY_BYTES, XAES_NONCE_BYTES, XaesKey } from './xaes.js';

/** What a wrapped key is bound to: under another name, version or owner it does not open. */
export interface KeyIdentity {
  readonly keyId: string;
  readonly tenantId: string;
  readonly scope: 'tenant' | 'table';
  readonly scopeId: string;
  readonly version: number;
  readonly shortId: number;
  readonly kekId: string;
}

const VERSION = 0x01;
const SEALED_START = 1 + XAES_NONCE_BYTES;

/** Makes a random key and wraps it: `0x01 ‖ nonce (24) ‖ ciphertext (32) ‖ tag (16)`, 73 bytes. */
export function makeWrappedKey(kek: XaesKey, identity: KeyIdentity): Buffer {
  const bytes = randomBytes(XAES_KEY_BYTES);
  const nonce = randomBytes(XAES_NONCE_BYTES);
  const wrapped = Buffer.concat([
    Buffer.of(VERSION),
    nonce,
    kek.seal(nonce, bytes, additionalDataOf(identity)),
  ]);
  bytes.fill(0);
  return wrapped;
}

/** @returns the key, or undefined when it was altered, or wrapped under another key or for another use. */
export function openWrappedKey(kek: XaesKey, identity: KeyIdentity, wrapped: Buffer): XaesKey | undefined {
  if (wrapped.length < SEALED_START || wrapped[0] !== VERSION) return undefined;
  const nonce = wrapped.subarray(1, SEALED_START);
  const bytes = kek.open(nonce, wrapped.subarray(SEALED_START), additionalDataOf(identity));
  if (bytes?.length !== XAES_KEY_BYTES) return undefined;
  const key = new XaesKey(createSecretKey(bytes));
  bytes.fill(0);
  return key;
}

function additionalDataOf(identity: KeyIdentity): Buffer {
  const { keyId, tenantId, scope, scopeId, version, shortId, kekId } = identity;
  return Buffer.from(
    ['zt1', 'key', keyId, tenantId, scope, scopeId, version, shortId, kekId].join('\0'),
    'utf8',
  );
}
