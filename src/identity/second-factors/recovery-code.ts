import { randomBytes } from 'node:crypto';

/** Codes of one set. */
export const RECOVERY_CODES = 10;

/** Crockford's base32: no I, L, O or U, so that nothing which is read aloud or written down is taken for another. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const LENGTH = 24;
const GROUP = 4;

/** Longer than any code with blanks and dashes between all of its characters. */
export const MAX_RECOVERY_INPUT = 64;

/**
 * Makes a code: 120 random bits, above the 112 from which on ASVS 6.5.2 asks for no slow hash, in six groups of four.
 */
export function makeRecoveryCode(): string {
  // 32 characters divide 256: the low five bits of a byte choose each one as often as any other.
  const characters = Array.from(randomBytes(LENGTH), (byte) => ALPHABET[byte & 31]).join('');
  return characters.match(new RegExp(`.{${GROUP}}`, 'g'))?.join('-') ?? '';
}

/**
 * Reads a code as somebody typed it: in any case, with or without blanks and dashes. Nothing else is forgiven.
 *
 * @returns its 24 characters, or undefined when it is no code.
 */
export function parseRecoveryCode(text: string): string | undefined {
  if (text.length > MAX_RECOVERY_INPUT) return undefined;
  // ASCII only: toUpperCase() would make an S of a long s, and others of what merely looks alike.
  if (!/^[0-9A-Za-z -]+$/.test(text)) return undefined;
  const code = text.replaceAll(/[ -]/g, '').toUpperCase();
  return /^[0-9A-HJKMNP-TV-Z]{24}$/.test(code) ? code : undefined;
}
