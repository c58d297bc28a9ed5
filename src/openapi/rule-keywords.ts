import type { Schema } from './json-schema.js';

type Constraints = readonly unknown[];

/**
 * What a class-validator rule says in JSON Schema, by the rule's name. A rule that is not here is documented by its
 * message alone: nothing is better than something that is not so.
 */
const KEYWORDS: Readonly<Record<string, (constraints: Constraints) => Schema>> = {
  isString: () => ({ type: 'string' }),
  isNotEmpty: () => ({ minLength: 1 }),
  minLength: ([least]) => ({ minLength: least }),
  maxLength: ([most]) => ({ maxLength: most }),
  isLength: ([least, most]) => ({ minLength: least, ...(most !== undefined && { maxLength: most }) }),
  matches: ([pattern]) => patternOf(pattern),
  isUuid: () => ({ type: 'string', format: 'uuid' }),
  isEmail: () => ({ type: 'string', format: 'email' }),
  isUrl: () => ({ type: 'string' }),
  isIn: ([values]) => enumOf(values),
  isEnum: ([, values]) => enumOf(values),
  equals: ([value]) => ({ const: value }),
  isBoolean: () => ({ type: 'boolean' }),
  isInt: () => ({ type: 'integer' }),
  isNumber: () => ({ type: 'number' }),
  min: ([least]) => ({ minimum: least }),
  max: ([most]) => ({ maximum: most }),
  isPositive: () => ({ exclusiveMinimum: 0 }),
  isNegative: () => ({ exclusiveMaximum: 0 }),
  isObject: () => ({ type: 'object' }),
  isArray: () => ({ type: 'array' }),
  arrayNotEmpty: () => ({ minItems: 1 }),
  arrayMinSize: ([least]) => ({ minItems: least }),
  arrayMaxSize: ([most]) => ({ maxItems: most }),
  arrayUnique: () => ({ uniqueItems: true }),
};

/** Undefined for a rule that has no word in JSON Schema here. */
export function keywordsOf(rule: string, constraints: Constraints = []): Schema | undefined {
  return Object.hasOwn(KEYWORDS, rule) ? KEYWORDS[rule]?.(constraints) : undefined;
}

/** Where all are of one type, it says that too: some tools look at nothing else. */
function enumOf(values: unknown): Schema {
  const types = new Set(Array.isArray(values) ? values.map((value) => typeof value) : []);
  const [type] = types;
  return { ...(types.size === 1 && (type === 'string' || type === 'number') && { type }), enum: values };
}

/** JSON Schema has no flags: a pattern that needs one would say something else without it. */
function patternOf(pattern: unknown): Schema {
  if (!(pattern instanceof RegExp)) return typeof pattern === 'string' ? { pattern } : {};
  return /[^gu]/.test(pattern.flags) ? { type: 'string' } : { type: 'string', pattern: pattern.source };
}

/** Both must hold: what the second says again, otherwise, is kept beside the first. */
export function both(first: Schema, second: Schema): Schema {
  const joined: Record<string, unknown> = { ...first };
  const besides = [...((first['allOf'] as readonly Schema[] | undefined) ?? [])];
  for (const [keyword, value] of Object.entries(second)) {
    const known = joined[keyword];
    if (known === undefined) joined[keyword] = value;
    else if (JSON.stringify(known) !== JSON.stringify(value)) besides.push({ [keyword]: value });
  }
  return besides.length > 0 ? { ...joined, allOf: besides } : joined;
}
