import { invalidToken } from './sessions.errors.js';

/**
 * `__Host-`: the browser takes such a cookie only over HTTPS (or on loopback), for this host alone and for all of its
 * paths, so that no sibling domain and no plain-text answer can plant one (ASVS 3.3.1, 3.3.3).
 */
export const ACCESS_COOKIE = '__Host-access';
export const REFRESH_COOKIE = '__Host-refresh';

const SAME_SITE = { [ACCESS_COOKIE]: 'Lax', [REFRESH_COOKIE]: 'Strict' } as const;
export type SessionCookie = keyof typeof SAME_SITE;

/** Neither quotes, blanks nor controls: what our own cookies hold (RFC 6265 4.1.1). */
const VALUE = /^[\w.~+/=-]*$/;

const nothing = (): boolean => false;

/**
 * The value of one of our cookies; undefined when it was not sent, or is empty.
 *
 * @param isVerified whether this very text was verified before: then nobody needs to look at its characters again
 * @throws ZeroTrustError `invalid-credentials` when it was sent twice, with whatever values: nobody could say which
 * one is meant.
 */
export function readCookie(
  header: string | undefined,
  name: SessionCookie,
  isVerified: (value: string) => boolean = nothing,
): string | undefined {
  // Nearly every request: no need to take the header apart.
  if (header === undefined || !header.includes(name)) return undefined;
  const values = header
    .split(';')
    .map(withoutBlanks)
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1));
  if (values.length > 1) throw invalidToken('several cookies of one name were sent');
  const [value = ''] = values;
  if (value === '') return undefined;
  if (!isVerified(value) && !VALUE.test(value)) throw invalidToken('the token is not in compact form');
  return value;
}

/**
 * RFC 6265 4.2.1 knows blank and tab. Not `trim`: whatever else it takes for a blank would make one of our cookies out of
 * somebody else's. No regular expression either: on a run of blanks that does not end it takes the square of its length.
 */
function withoutBlanks(text: string): string {
  let [start, end] = [0, text.length];
  // Beyond either end there is no blank.
  while (isBlank(text[start])) start += 1;
  while (isBlank(text[end - 1])) end -= 1;
  return text.slice(start, end);
}

const isBlank = (character: string | undefined): boolean => character === ' ' || character === '\t';

/** What browsers keep of name and value together; of a longer cookie they keep nothing (ASVS 3.3.5). */
const MAX_COOKIE_BYTES = 4_096;

/**
 * `Set-Cookie` that hands a token over; with an empty value it takes the cookie away, with the same attributes.
 *
 * @throws TypeError when no browser would keep it.
 */
export function writeCookie(name: SessionCookie, value: string, maxAgeSeconds: number): string {
  if (Buffer.byteLength(`${name}${value}`) > MAX_COOKIE_BYTES) {
    throw new TypeError(`${name} is longer than the ${MAX_COOKIE_BYTES} bytes that a browser keeps`);
  }
  const attributes = `Path=/; Max-Age=${maxAgeSeconds}; HttpOnly; Secure; SameSite=${SAME_SITE[name]}`;
  return `${name}=${value}; ${attributes}`;
}
