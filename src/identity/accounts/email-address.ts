import { domainToASCII } from 'node:url';

/** An e-mail address, read once. Two spellings of one mailbox have one `canonical` form. */
export interface EmailAddress {
  /** Where mail goes: the local part as it was written, the domain in lower-case ASCII. */
  readonly address: string;
  /** What accounts are found by and unique on: the same, in lower case altogether. */
  readonly canonical: string;
  readonly localPart: string;
}

/** RFC 5321 4.5.3.1, with the path's angle brackets taken off (RFC 3696 erratum 1690). */
export const MAX_EMAIL_LENGTH = 254;
const MAX_LOCAL_PART_LENGTH = 64;
const MAX_DOMAIN_LENGTH = 253;

/** RFC 5322 3.2.3: a dot-atom. No quoted strings, comments, spaces, commas or brackets: so never two recipients, nor a header. */
const LOCAL_PART = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;
/** Before `domainToASCII`, which also decodes `%41`, cuts at `/ ? #` and drops characters that nobody sees. */
const WRITTEN_DOMAIN = /^[\p{L}\p{N}\p{M}.-]+$/u;
/** After it: two labels or more, each of letters, digits and inner hyphens, the last one no number (so no IP address). */
const ASCII_DOMAIN =
  /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?=[a-z0-9-]*[a-z])[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * Reads one e-mail address and gives it its canonical form; the only place that does.
 *
 * The rule: nothing is trimmed or repaired. The local part is an ASCII dot-atom of at most 64 characters, lowered
 * `A-Z` → `a-z` (RFC 5321 lets a host tell cases apart, no provider of weight does); dots and `+tags` stay, because
 * what they mean differs between providers. An internationalised local part (RFC 6531) is refused: it has no agreed
 * case or normal form, and look-alikes have opened accounts of others. The domain goes through IDNA (UTS #46) to
 * lower-case ASCII. The whole has at most 254 characters.
 *
 * @returns undefined when it is not one address by this rule.
 */
export function parseEmail(text: string): EmailAddress | undefined {
  if (text.length > MAX_EMAIL_LENGTH) return undefined;
  const at = text.lastIndexOf('@');
  const localPart = text.slice(0, Math.max(at, 0));
  if (localPart.length > MAX_LOCAL_PART_LENGTH || !LOCAL_PART.test(localPart)) return undefined;
  const written = text.slice(at + 1);
  if (!WRITTEN_DOMAIN.test(written)) return undefined;
  const domain = domainToASCII(written);
  if (domain.length > MAX_DOMAIN_LENGTH || !ASCII_DOMAIN.test(domain)) return undefined;
  const address = `${localPart}@${domain}`;
  if (address.length > MAX_EMAIL_LENGTH) return undefined;
  // The local part is ASCII by now: toLowerCase() can do nothing but A-Z → a-z, in any locale.
  return { address, canonical: address.toLowerCase(), localPart };
}
