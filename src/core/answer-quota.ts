/** The method of an answer that says what is left to its caller, where the edge writes the header fields of answers. */
export const SAY_QUOTA = Symbol('nestjs-zero-trust:say-quota');

/** The names of what it writes: a dictionary and its policy (draft-ietf-httpapi-ratelimit-headers). */
export const QUOTA_FIELDS = ['RateLimit', 'RateLimit-Policy'] as const;

/** An answer whose fields the edge writes. */
export interface SaysQuota {
  /** @param quota @param policy values of `QUOTA_FIELDS`, made of what needs no check: names of the kit's, and numbers */
  [SAY_QUOTA](quota: string, policy: string): void;
}
