import { randomBytes, randomUUID } from 'node:crypto';
import { actingFaults, type Acting } from './acting.js';
import { assertTestEnvironment } from './test-environment.js';

/** What a request carries: for `set` of supertest, `headers` of Fastify's `inject`, `fetch`, and a websocket client. */
export type ActingHeaders = Readonly<Record<'authorization', string>>;

/** Told from real tokens by this; what makes one count is that this very process has made it. */
export const CREDENTIAL_PREFIX = 'zt-test.';

const made = new Map<string, Acting & { readonly subject: string }>();

/**
 * The headers of a request as somebody who holds exactly this:
 *
 * ```ts
 * await request(server).get('/documents').set(actingAs({ roles: ['viewer'] })).expect(200);
 * ```
 *
 * The credential is opaque and good for nothing but this process, in an application that has `ZeroTrustTestingModule` or
 * was built with `withTestPrincipals`.
 *
 * @throws TypeError when something of it is malformed. BootError outside of tests. What no application has declared is said
 * when the request is made: 500, with the fault in the log.
 */
export function actingAs(as: Acting = {}): ActingHeaders {
  assertTestEnvironment();
  const faults = actingFaults(as);
  if (faults.length > 0) throw new TypeError(`actingAs(): ${faults.join('; ')}.`);
  const credential = `${CREDENTIAL_PREFIX}${randomBytes(32).toString('base64url')}`;
  // A copy: what is held stays what it was when the headers were made.
  made.set(credential, { ...structuredClone(as), subject: as.subject ?? randomUUID() });
  return Object.freeze({ authorization: `Bearer ${credential}` });
}

/** Who was made under this credential; undefined when nobody was, in this process. */
export function madeUnder(credential: string): (Acting & { readonly subject: string }) | undefined {
  return made.get(credential);
}
