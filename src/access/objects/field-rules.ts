import type { Permission } from '../../core/permission.js';
import { ZeroTrustError } from '../../core/zero-trust-error.js';

/** What may be done with one property. `true` is whoever reaches the object; what is left out, nobody may. */
export interface FieldRule<Value = unknown> {
  /** Who sees it. */
  readonly read?: Permission | true;
  /** What who lacks `read` sees in its place. Left out: nothing, the property is missing. */
  readonly mask?: (value: Value) => unknown;
  /** Who may set it. */
  readonly write?: Permission | true;
  /** Who may sort and filter by it, of those who see it unmasked: its order tells what it is. */
  readonly query?: Permission | true;
}

/** Which properties of one kind of object a permission reveals, or lets one write, sort or filter by (ASVS 8.1.2, 8.2.3). */
export interface FieldRules<T extends object> {
  readonly type: string;
  readonly fields: { readonly [Property in keyof T & string]?: FieldRule<T[Property]> };
}

/** What is left of an object: nobody can rely on a property that may be missing or masked. */
export type Revealed<T> = Readonly<Partial<Record<keyof T & string, unknown>>>;

/**
 * Declares the rules of one kind of object, beside the entity or the view that they are about.
 *
 * @throws TypeError when there are none; when one permits nothing, or what is no permission, masks what everybody sees, or
 * lets ask by what nobody sees.
 */
export function fieldRules<T extends object>(rules: FieldRules<T>): FieldRules<T> {
  const { type, fields } = rules as Partial<FieldRules<T>>;
  const declared = Object.entries<FieldRule>((fields ?? {}) as Record<string, FieldRule>);
  if (!type || declared.length === 0) throw new TypeError('fieldRules() needs a type and its fields.');
  for (const [name, { read, mask, write, query }] of declared) {
    if (read === undefined && write === undefined && query === undefined) {
      throw new TypeError(`fieldRules(): "${type}.${name}" permits nothing; leave it out.`);
    }
    for (const permission of [read, write, query] as unknown[]) {
      if (permission === undefined || permission === true) continue;
      if (typeof permission === 'string' && permission !== '') continue;
      throw new TypeError(`fieldRules(): "${type}.${name}" is permitted by a permission, or true.`);
    }
    if (query !== undefined && read === undefined) {
      throw new TypeError(
        `fieldRules(): "${type}.${name}" is asked by and never seen: its order would tell it.`,
      );
    }
    if (mask !== undefined && typeof read !== 'string') {
      throw new TypeError(
        `fieldRules(): "${type}.${name}" has a mask, and no permission that takes it away.`,
      );
    }
  }
  const frozen = declared.map(([name, rule]) => [name, Object.freeze({ ...rule })] as const);
  return Object.freeze({ type, fields: Object.freeze(Object.fromEntries(frozen)) as typeof rules.fields });
}

/** The rule of a property, by its own name: nothing is inherited from what every object has. */
export function ruleOf<T extends object>({ fields }: FieldRules<T>, name: string): FieldRule | undefined {
  return Object.hasOwn(fields, name) ? (fields as Readonly<Record<string, FieldRule>>)[name] : undefined;
}

/** The permissions that writing a property takes, or asking by it. What is permitted to all takes none. */
export function permissionsFor<T extends object>(
  rules: FieldRules<T>,
  use: 'write' | 'query',
  name: string,
): readonly Permission[] {
  const rule = ruleOf(rules, name);
  return [rule?.[use], use === 'query' ? rule?.read : true].filter((each) => typeof each === 'string');
}

/** The permissions that seeing all of it takes. */
export function readPermissionsOf<T extends object>({ fields }: FieldRules<T>): ReadonlySet<Permission> {
  const rules = Object.values(fields as Readonly<Record<string, FieldRule>>);
  return new Set(rules.flatMap(({ read }) => (typeof read === 'string' ? [read] : [])));
}

/** The object as it may be shown to who holds these permissions. */
export function revealed<T extends object>(
  rules: FieldRules<T>,
  object: T,
  held: Pick<ReadonlySet<string>, 'has'>,
): Revealed<T> {
  const shown: [string, unknown][] = [];
  for (const name of Object.keys(rules.fields)) {
    const { read, mask } = ruleOf(rules, name) ?? {};
    const value = (object as Readonly<Record<string, unknown>>)[name];
    if (read === undefined || value === undefined) continue;
    if (read === true || held.has(read)) shown.push([name, value]);
    else if (mask) shown.push([name, mask(value)]);
  }
  return Object.fromEntries(shown) as Revealed<T>;
}

/** @throws ZeroTrustError `validation-failed` that names what nobody may use like this: it is what the caller sent. */
export function assertDeclared<T extends object>(
  rules: FieldRules<T>,
  use: 'write' | 'query',
  names: readonly string[],
): void {
  const undeclared = names.filter((name) => ruleOf(rules, name)?.[use] === undefined);
  if (undeclared.length === 0) return;
  const isWrite = use === 'write';
  throw new ZeroTrustError('validation-failed', {
    detail: isWrite ? 'a field cannot be written' : 'nothing is sorted or filtered by a field',
    errors: undeclared.map((field) => ({
      field,
      messages: [isWrite ? 'cannot be written' : 'cannot be sorted or filtered by'],
    })),
  });
}
