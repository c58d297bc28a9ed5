import { HttpException } from '@nestjs/common';
import { STATUS_CODES } from 'node:http';
import { ERROR_STATUS, ZeroTrustError, type ErrorCode } from '../core/zero-trust-error.js';
import { isDatabaseUnavailable } from '../database/database.errors.js';

/** RFC 9457, as `http` answers every error: what the caller may know, and the id under which the operator finds the rest. */
export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ErrorCode;
  readonly instance: string;
  readonly errors?: ZeroTrustError['errors'];
}

/** What the edge answers: the public document, its headers, and for the operator what really happened. */
export interface Problem {
  readonly document: ProblemDocument;
  readonly headers: Readonly<Record<string, string>>;
  readonly detail: string;
  readonly cause: unknown;
}

const RETRY_AFTER_SECONDS = '1';

/** Turns whatever was thrown into one public shape. Nothing of an unknown error is ever repeated to the caller. */
export function problemOf(thrown: unknown, requestId: string): Problem {
  const error = asZeroTrustError(thrown);
  const status = statusOf(thrown, error);
  return {
    document: {
      type: `urn:zero-trust:error:${error.code}`,
      title: STATUS_CODES[status] ?? 'Error',
      status,
      code: error.code,
      instance: `urn:uuid:${requestId}`,
      ...(error.errors && { errors: error.errors }),
    },
    headers: { ...(status === 503 && { 'Retry-After': RETRY_AFTER_SECONDS }), ...error.headers },
    detail: error.detail,
    cause: error.cause,
  };
}

const CODE_OF_STATUS = new Map<number, ErrorCode>(
  Object.entries(ERROR_STATUS)
    .map(([code, status]) => [status, code as ErrorCode] as const)
    .reverse(),
);
// Several codes share these; an error of the framework means the plain one.
for (const code of ['invalid-request', 'authentication-required', 'permission-denied'] as const) {
  CODE_OF_STATUS.set(ERROR_STATUS[code], code);
}

function asZeroTrustError(thrown: unknown): ZeroTrustError {
  if (thrown instanceof ZeroTrustError) return thrown;
  if (isDatabaseUnavailable(thrown)) {
    return new ZeroTrustError('temporarily-unavailable', {
      detail: 'the database is not available',
      cause: thrown,
    });
  }
  const status = frameworkStatus(thrown);
  const code =
    status === undefined
      ? undefined
      : (CODE_OF_STATUS.get(status) ?? (status < 500 ? 'invalid-request' : undefined));
  if (code === undefined)
    return new ZeroTrustError('internal-error', { detail: 'an error that nobody expected', cause: thrown });
  const detail = `the framework refused with ${status ?? 0}`;
  return new ZeroTrustError(code, {
    detail,
    headers: code === 'authentication-required' ? { 'WWW-Authenticate': 'Bearer' } : {},
  });
}

/**
 * The status of an error that Nest, Express or Fastify made about a request. A `status` on anything else is nobody's
 * word: a database driver or an HTTP client may have put it there.
 */
function frameworkStatus(thrown: unknown): number | undefined {
  if (thrown instanceof HttpException) {
    const status = thrown.getStatus();
    // Thrown with a status of success it is a mistake of ours, not of the caller.
    return Number.isInteger(status) && status >= 400 && status < 600 ? status : undefined;
  }
  if (!(thrown instanceof Error)) return undefined;
  const { statusCode, expose, code, type } = thrown as Error &
    Record<'statusCode' | 'expose' | 'code' | 'type', unknown>;
  const isParser = expose === true && typeof type === 'string';
  const isFastify = typeof code === 'string' && code.startsWith('FST_');
  const isDecoder = thrown instanceof URIError;
  if (isDecoder) return 400;
  return (isParser || isFastify) && typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500
    ? statusCode
    : undefined;
}

function statusOf(thrown: unknown, error: ZeroTrustError): number {
  const framework = thrown instanceof ZeroTrustError ? undefined : frameworkStatus(thrown);
  return framework !== undefined && framework >= 400 && framework < 500 ? framework : error.status;
}
