/**
 * The facts in an event's `detail` that are known to be neither secret nor personal. Whatever is not named here (or by
 * the host, in `publicDetails`) is redacted: a field that nobody classified is not written (ASVS 16.2.5).
 */
export const PUBLIC_DETAILS: readonly string[] = [
  'acr',
  'after',
  'amr',
  'before',
  'clientId',
  'code',
  'column',
  'count',
  'current',
  'delivery',
  'expiresAt',
  'filters',
  'limit',
  'permission',
  'presented',
  'role',
  'scope',
  'subject',
  'successorOf',
  'table',
  'windowSeconds',
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

/** How much one event may carry, so that an entry stays below its 65,535 bytes also when all of it is escaped. */
const MAX_FACTS = 16;
const MAX_FACTS_LENGTH = 6000;
const MAX_FACT_LENGTH = 2000;

/** Keeps the classified facts of `detail`, redacts the rest. The number of facts and their length are bounded. */
export function classify(
  detail: Detail | undefined,
  isPublic: (name: string) => boolean,
): Detail | undefined {
  const facts = Object.entries(detail ?? {}).slice(0, MAX_FACTS);
  if (facts.length === 0) return undefined;
  let left = MAX_FACTS_LENGTH;
  const classified = facts.map(([name, value]): [string, Detail[string]] => {
    const fact = isPublic(name) ? storable(value, Math.min(left, MAX_FACT_LENGTH)) : REDACTED;
    if (typeof fact === 'string') left = Math.max(0, left - fact.length);
    return [bounded(name, 64), fact];
  });
  return Object.fromEntries(classified);
}

/** An event comes from code that the compiler checked, but an application in JavaScript may hand over anything. */
function storable(value: unknown, maxLength: number): Detail[string] {
  if (value === null || typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  return typeof value === 'string' ? bounded(value, maxLength) : REDACTED;
}
