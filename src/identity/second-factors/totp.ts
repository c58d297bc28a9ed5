import { Secret, TOTP } from 'otpauth';

/** RFC 4226 4, R6: 160 bits are recommended. */
export const TOTP_SECRET_BYTES = 20;

/** What every authenticator app takes without asking: SHA-1, 6 digits, 30 s. SHA-1 is sound inside of an HMAC. */
const PARAMETERS = { algorithm: 'SHA1', digits: 6, period: 30 } as const;

/**
 * Steps before and after the present one whose code is taken too: one, for clocks that differ and for slow typing
 * (RFC 6238 5.2, ASVS 6.5.5). So a code lives 90 seconds at most, and of a million codes three fit at any time.
 */
export const DRIFT_STEPS = 1;

/** One form and no other: ASCII digits. Nothing is trimmed and nothing is converted. */
export function isTotpCode(code: unknown): code is string {
  return typeof code === 'string' && /^[0-9]{6}$/.test(code);
}

/** What an authenticator app is told, as text and as the URI that a QR code carries. */
export interface TotpEnrolment {
  /** The secret in base32 (RFC 4648), for typing. */
  readonly secret: string;
  readonly otpauthUri: string;
}

export function describeTotp(secret: Buffer, owner: { issuer: string; label: string }): TotpEnrolment {
  const totp = new TOTP({ ...PARAMETERS, ...owner, secret: secretOf(secret) });
  return { secret: totp.secret.base32, otpauthUri: totp.toString() };
}

/**
 * The time step that a code belongs to (RFC 6238), within the drift that is allowed. Digits are compared in constant
 * time. That a step is used once is for the caller to see to.
 *
 * @returns undefined when the code is none, or of another time or secret.
 */
export function stepOf(code: string, secret: Buffer, nowMs: number): number | undefined {
  if (!isTotpCode(code)) return undefined;
  const given = { ...PARAMETERS, secret: secretOf(secret), timestamp: nowMs };
  const delta = TOTP.validate({ ...given, token: code, window: DRIFT_STEPS });
  return delta === null ? undefined : TOTP.counter(given) + delta;
}

/** `Secret` keeps the whole buffer that it is given, and a Buffer may be a view of a larger one. */
function secretOf(bytes: Buffer): Secret {
  return new Secret({ buffer: Uint8Array.from(bytes).buffer });
}
