import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { BootError } from '../core/zero-trust-error.js';

const KEY_BYTES = 32;
const FORMATS = '32 random bytes as base64 or base64url (43 characters, 44 when padded) or hex (64)';
const MEND = 'make one with `zero-trust keys generate` and keep it in ZERO_TRUST_MASTER_KEY or its _FILE';

/** None shorter than six characters: a random key must not contain one by chance. */
const PLACEHOLDERS = [
  'secret',
  'changeme',
  'change-me',
  'change_me',
  'password',
  'passphrase',
  'example',
  'placeholder',
  'default',
  'insecure',
  'masterkey',
  'master-key',
  'master_key',
  'qwerty',
  'letmein',
  'development',
];

/** A new master key, as base64url. */
export function generateMasterKey(): string {
  for (;;) {
    const bytes = randomBytes(KEY_BYTES);
    const text = bytes.toString('base64url');
    if (!weaknessOf(text, bytes)) return text;
  }
}

/**
 * Reads the master key and refuses one that is missing, malformed or guessable (ASVS 11.2.3, 13.3.1). A key is
 * 32 bytes from a generator, never a passphrase: HKDF does not stretch (ASVS 11.4.4).
 *
 * @throws BootError naming the setting, the fault and the mend, and nothing of the key.
 */
export function parseMasterKey(presented: string | undefined): KeyObject {
  const text = presented?.trim() ?? '';
  if (text === '') throw refusal('is not set');
  const bytes = decode(text);
  if (!bytes) throw refusal(`is not ${FORMATS}`);
  const weakness = weaknessOf(text, bytes);
  if (weakness) throw refusal(weakness);
  const key = createSecretKey(bytes);
  bytes.fill(0);
  return key;
}

function refusal(fault: string): BootError {
  return new BootError('EncryptionModule', [`masterKey (ZERO_TRUST_MASTER_KEY) ${fault}: ${MEND}.`]);
}

/** Hex and base64 have two lengths, so no text can be read in two ways. */
function decode(text: string): Buffer | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex');
  const unpadded = text.replace(/=$/, '');
  if (!/^(?:[A-Za-z0-9+/]{43}|[A-Za-z0-9_-]{43})$/.test(unpadded)) return undefined;
  const bytes = Buffer.from(unpadded, 'base64');
  // The last character carries two unused bits: with them set, two texts would mean one key.
  const canonical = bytes.toString('base64url');
  return canonical === unpadded.replaceAll('+', '-').replaceAll('/', '_') ? bytes : undefined;
}

/** What shows that a key was not drawn at random. A random key fails all of these together less than once in 10^6. */
function weaknessOf(text: string, bytes: Buffer): string | undefined {
  const lower = text.toLowerCase();
  const isHex = text.length === 2 * KEY_BYTES;
  if (PLACEHOLDERS.some((word) => lower.includes(word))) return 'is a placeholder';
  if (bytes.every((byte) => byte >= 0x20 && byte <= 0x7e)) return 'is text, not random bytes';
  // 43 characters without an upper-case or without a lower-case letter are prose, not base64 of random bytes.
  if (!isHex && (text === lower || text === text.toUpperCase())) return 'is text, not random bytes';
  // Random: about 30 different bytes, 16 different hex digits, 31 different base64 characters.
  if (new Set(bytes).size < 16 || new Set(text).size < (isHex ? 11 : 18)) return 'is repetitive';
  if (bytes.subarray(0, KEY_BYTES / 2).equals(bytes.subarray(KEY_BYTES / 2))) return 'is repetitive';
  // A count such as 00 01 02 … moves by the same step again and again.
  if (largestCount(steps(bytes)) >= 10) return 'is a sequence';
  return undefined;
}

function steps(bytes: Buffer): number[] {
  return Array.from(bytes.subarray(1), (byte, index) => (byte - (bytes[index] ?? 0) + 256) % 256);
}

function largestCount(values: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return Math.max(...counts.values());
}
