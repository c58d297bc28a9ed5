/**
 * The facts in an event's `detail` that are known to be neither secret nor personal. Whatever is not named here (or by
 * the host, in `publicDetails`) is redacted: a field that nobody classified is not written (ASVS 16.2.5).
 */
export const PUBLIC_DETAILS: readonly string[] = [
  'acr',
  'amr',
  'code',
  'count',
  'expiresAt',
  'filters',
  'keyId',
  'limit',
  'permission',
  'permissions',
  'role',
  'scope',
];

export const REDACTED = '[redacted]';
const TRUNCATED = '[truncated]';

/** What cannot stand in a jsonb text: NUL, and halves of surrogate pairs. */
const UNSTORABLE = /\0|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g;

/** Cuts a text to `maxLength` UTF-16 units, marked as cut, and replaces what cannot be stored. */
export function bounded(text: string, maxLength: number): string {
  const cut = text.length > maxLength ? text.slice(0, maxLength) + TRUNCATED : text;
  return cut.replace(UNSTORABLE, '\uFFFD');
}

export type Detail = Readonly<Record<string, string | number | boolean | null>>;

/** How many facts one event may carry, and how long each may be: an entry stays far below its 65,535 bytes. */
const MAX_FACTS = 16;
const MAX_FACT_LENGTH = 256;

/** Keeps the classified facts of `detail`, redacts the rest. The number of facts and their length are bounded. */
export function classify(
  detail: Detail | undefined,
  isPublic: (name: string) => boolean,
): Detail | undefined {
  const facts = Object.entries(detail ?? {});
  if (facts.length === 0) return undefined;
  return Object.fromEntries(
    facts
      .slice(0, MAX_FACTS)
      .map(([name, value]) => [bounded(name, 64), isPublic(name) ? storable(value) : REDACTED]),
  );
}

/** An event comes from code that the compiler checked, but an application in JavaScript may hand over anything. */
function storable(value: unknown): Detail[string] {
  if (value === null || typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  return typeof value === 'string' ? bounded(value, MAX_FACT_LENGTH) : REDACTED;
}
