import { createHmac, timingSafeEqual } from 'node:crypto';

/** What this application puts into its tokens. */
export interface User {
  readonly sub: string;
  readonly role: 'keeper' | 'visitor';
}

const keyed = (text: string): Buffer =>
  createHmac('sha256', process.env['SHELTER_SECRET'] ?? '')
    .update(text)
    .digest();

export function signToken(user: User): string {
  const text = Buffer.from(JSON.stringify(user)).toString('base64url');
  return `${text}.${keyed(text).toString('base64url')}`;
}

/** Whoever the header proves; undefined when it proves nobody. */
export function userOf(authorization: string | undefined): User | undefined {
  const [, text = '', signature = ''] = /^Bearer ([\w-]+)\.([\w-]+)$/.exec(authorization ?? '') ?? [];
  const [given, expected] = [Buffer.from(signature, 'base64url'), keyed(text)];
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  return JSON.parse(Buffer.from(text, 'base64url').toString()) as User;
}
