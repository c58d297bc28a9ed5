/** Where a page ends: the place of its last entry in the order of `(recorded_at, id)`. */
export interface AuditPosition {
  /** UTC, to the microsecond that PostgreSQL keeps: a JavaScript date would skip or repeat entries. */
  readonly recordedAt: string;
  readonly id: string;
}

const POSITION =
  /^(?<recordedAt>[12]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)\/(?<id>[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})$/;

/** Makes the opaque cursor that a caller hands back. */
export function encodeCursor({ recordedAt, id }: AuditPosition): string {
  return Buffer.from(`${recordedAt}/${id}`).toString('base64url');
}

/** @returns undefined for whatever `encodeCursor` did not make: each position has exactly one cursor. */
export function decodeCursor(cursor: string): AuditPosition | undefined {
  const { recordedAt, id } = POSITION.exec(Buffer.from(cursor, 'base64url').toString())?.groups ?? {};
  if (recordedAt === undefined || id === undefined || !isCalendarTime(recordedAt)) return undefined;
  return encodeCursor({ recordedAt, id }) === cursor ? { recordedAt, id } : undefined;
}

/** Whether a UTC time exists: V8 takes 31 February, PostgreSQL does not. */
export function isCalendarTime(utc: string): boolean {
  const atMs = Date.parse(utc);
  return !Number.isNaN(atMs) && new Date(atMs).toISOString().slice(0, 19) === utc.slice(0, 19);
}
