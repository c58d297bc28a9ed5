import type { Schema } from './json-schema.js';

const PREFIX = '#/components/schemas/';

/** The schemas that something refers to, directly or not: what belongs to a hidden route alone is told to nobody. */
export function referredFrom(
  roots: unknown,
  schemas: Readonly<Record<string, unknown>>,
): Record<string, Schema> {
  const reached = new Set(referencesIn(roots));
  // A set takes in what is added while it is walked.
  for (const name of reached) for (const next of referencesIn(schemas[name])) reached.add(next);
  const kept = Object.entries(schemas).filter(([name]) => reached.has(name));
  return Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1))) as Record<string, Schema>;
}

function referencesIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return value.startsWith(PREFIX) ? [value.slice(PREFIX.length)] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(referencesIn);
}
