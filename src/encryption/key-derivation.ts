import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';

/** What a key is for. One master key, but never one key for two uses (NIST SP 800-57 part 1, 5.2). */
export type KeyUse = 'kek' | 'kek-id' | 'secret';

/** HKDF-SHA-256 (RFC 5869) of the master key, with a label that separates every use from every other. */
export function deriveKey(master: KeyObject, use: KeyUse, purpose: string): KeyObject {
  const label = `nestjs-zero-trust\0v1\0${use}\0${purpose}`;
  const bytes = Buffer.from(hkdfSync('sha256', master, Buffer.alloc(0), label, 32));
  const key = createSecretKey(bytes);
  bytes.fill(0);
  return key;
}

/** Says which master key wrapped a key, without saying anything about it: 16 bytes of a derivation of its own, hex. */
export function masterKeyId(master: KeyObject): string {
  return deriveKey(master, 'kek-id', '').export().toString('hex', 0, 16);
}
