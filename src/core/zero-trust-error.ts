/**
 * Every code a caller can read in `code` of a problem document (RFC 9457). A code is public and stable:
 * it says what the caller may know, never why in detail.
 */
export const ERROR_STATUS = {
  'invalid-request': 400,
  'ambiguous-credentials': 400,
  'validation-failed': 400,
  'authentication-required': 401,
  'invalid-credentials': 401,
  'insufficient-authentication': 401,
  'permission-denied': 403,
  'cross-site-request': 403,
  'not-found': 404,
  'method-not-allowed': 405,
  conflict: 409,
  'payload-too-large': 413,
  'unsupported-media-type': 415,
  'too-many-requests': 429,
  'headers-too-large': 431,
  'internal-error': 500,
  'temporarily-unavailable': 503,
} as const;

/** The public word for what went wrong; its status is in `ERROR_STATUS`. */
export type ErrorCode = keyof typeof ERROR_STATUS;

/** What an error tells beside its code. */
export interface ZeroTrustErrorInit {
  /** The operator's voice: goes to log and audit, never to the caller. */
  readonly detail: string;
  readonly cause?: unknown;
  /** Response headers that belong to this refusal, e.g. `WWW-Authenticate`, `Retry-After`, `Allow`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Field by field, for `validation-failed` alone; must not repeat the values that were sent. */
  readonly errors?: readonly { readonly field: string; readonly messages: readonly string[] }[];
}

/**
 * The one base of every error that the kit throws on purpose. It has two voices: `code` for the caller,
 * `detail` for the operator (ASVS 16.5.1).
 */
export class ZeroTrustError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly detail: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly errors: ZeroTrustErrorInit['errors'];

  constructor(code: ErrorCode, init: ZeroTrustErrorInit) {
    super(`${code}: ${init.detail}`, { cause: init.cause });
    this.name = new.target.name;
    this.code = code;
    this.status = ERROR_STATUS[code];
    this.detail = init.detail;
    this.headers = init.headers ?? {};
    this.errors = init.errors;
  }
}

/**
 * Something is wrong with the application itself, found before it listens. The text names the fault and the
 * mend; a process that meets one exits with code 1.
 */
export class BootError extends Error {
  readonly faults: readonly string[];

  constructor(room: string, faults: readonly string[]) {
    super(`${room} refuses to start:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
    this.name = 'BootError';
    this.faults = faults;
  }
}
