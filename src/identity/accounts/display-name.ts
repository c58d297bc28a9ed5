/** Counted in code points. */
export const MAX_DISPLAY_NAME_LENGTH = 100;

/** Line ends and other controls (header and log injection), and marks that turn the reading direction around. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/u;

/**
 * Reads the name that others see: 1 to 100 characters, no control or direction marks, no space at either end.
 *
 * @returns the name in NFC, or undefined when it is none by this rule.
 */
export function parseDisplayName(text: string): string | undefined {
  const name = text.normalize('NFC');
  if (name === '' || name !== name.trim() || UNPRINTABLE.test(name)) return undefined;
  return Array.from(name).length <= MAX_DISPLAY_NAME_LENGTH ? name : undefined;
}
