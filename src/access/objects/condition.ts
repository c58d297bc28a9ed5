/** Stands for the id of whoever asks. */
export const SUBJECT: unique symbol = Symbol('nestjs-zero-trust:subject');

type Scalar = string | number | boolean;
type PropertyOf<T> = keyof T & string;
/** What a property may be compared with: values of its own type, and whoever asks where it is a text. */
type ComparableTo<Value> = (Value & Scalar) | (Extract<Value, string> extends never ? never : typeof SUBJECT);
type ElementOf<Value> = Value extends readonly (infer Element)[] ? Element : never;

/**
 * What must be true of an object, written once: `decide()` asks it of one that is at hand, the filter of a list asks
 * PostgreSQL. Two-valued in both: a value that is null equals nothing.
 */
export type Condition<T> =
  | {
      readonly kind: 'is';
      readonly property: PropertyOf<T>;
      readonly values: readonly (Scalar | typeof SUBJECT)[];
    }
  | { readonly kind: 'some'; readonly relation: PropertyOf<T>; readonly where: Condition<never> }
  | { readonly kind: 'all' | 'any'; readonly of: readonly Condition<T>[] }
  | { readonly kind: 'not'; readonly of: Condition<T> };

/** A column of the object has this value, or that of whoever asks: `is('ownerId', SUBJECT)`. */
export function is<T, Property extends PropertyOf<T> = PropertyOf<T>>(
  property: Property,
  value: ComparableTo<T[Property]>,
): Condition<T> {
  return oneOf<T, Property>(property, [value]);
}

/** A column of the object has one of these values. @throws TypeError when there are none. */
export function oneOf<T, Property extends PropertyOf<T> = PropertyOf<T>>(
  property: Property,
  values: readonly ComparableTo<T[Property]>[],
): Condition<T> {
  if (values.length === 0)
    throw new TypeError(`oneOf("${property}"): name a value; nothing would ever hold.`);
  if (!values.every(isComparable)) {
    throw new TypeError(`is/oneOf("${property}"): values are texts, finite numbers, booleans or SUBJECT.`);
  }
  return Object.freeze({ kind: 'is', property, values: Object.freeze([...values]) });
}

/** One at least of the related objects meets the condition: `some('shares', is('accountId', SUBJECT))`. */
export function some<T, Relation extends PropertyOf<T> = PropertyOf<T>>(
  relation: Relation,
  where: Condition<ElementOf<T[Relation]>>,
): Condition<T> {
  return Object.freeze({ kind: 'some', relation, where: where });
}

/** All of them hold. @throws TypeError when there are none: an empty demand would be met by everything. */
export function allOf<T>(...of: readonly Condition<T>[]): Condition<T> {
  return several('all', of);
}

/** One of them holds at least. @throws TypeError when there are none. */
export function anyOf<T>(...of: readonly Condition<T>[]): Condition<T> {
  return several('any', of);
}

/** The condition does not hold; also where it cannot, because a value is null. */
export function not<T>(of: Condition<T>): Condition<T> {
  return Object.freeze({ kind: 'not', of });
}

function several<T>(kind: 'all' | 'any', of: readonly Condition<T>[]): Condition<T> {
  if (of.length === 0) throw new TypeError(`${kind}Of() needs a condition; an empty one says nothing.`);
  return Object.freeze({ kind, of: Object.freeze([...of]) });
}

function isComparable(value: unknown): boolean {
  return (
    value === SUBJECT ||
    typeof value === 'string' ||
    typeof value === 'boolean' ||
    (typeof value === 'number' && Number.isFinite(value))
  );
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * What is asked for, as it may stand in an object: as it is and, of a UUID, as PostgreSQL writes it. An authenticator of
 * the host may write them otherwise.
 */
export function formsOf(wanted: Scalar | typeof SUBJECT, subject: string): readonly Scalar[] {
  const value = wanted === SUBJECT ? subject : wanted;
  if (typeof value !== 'string' || !UUID.test(value) || value === value.toLowerCase()) return [value];
  return [value, value.toLowerCase()];
}

/**
 * Asks it of an object that is at hand.
 *
 * @throws TypeError when a property was not loaded, or is of another type than it is compared with: what is not known is
 * no answer, and `not()` would make a yes of it.
 */
export function holdsFor<T>(condition: Condition<T>, object: T, subject: string): boolean {
  switch (condition.kind) {
    case 'is': {
      const value = loaded(object, condition.property);
      if (value === null) return false;
      const wanted = condition.values.flatMap((each) => formsOf(each, subject));
      if (wanted.some((each) => typeof each !== typeof value)) {
        throw new TypeError(`"${condition.property}" is compared with a value of another type.`);
      }
      return wanted.some((each) => each === value);
    }
    case 'some': {
      const related = loaded(object, condition.relation);
      if (!Array.isArray(related))
        throw new TypeError(`"${condition.relation}" is no list of related objects.`);
      return related.some((each) => holdsFor(condition.where, each as never, subject));
    }
    case 'all':
      return condition.of.every((each) => holdsFor(each, object, subject));
    case 'any':
      return condition.of.some((each) => holdsFor(each, object, subject));
    case 'not':
      return !holdsFor(condition.of, object, subject);
  }
}

/** What an object says of itself under a name. @throws TypeError when it was not loaded. */
export function loaded<T>(object: T, property: PropertyOf<T>): unknown {
  const value: unknown = object[property];
  if (value === undefined)
    throw new TypeError(`"${property}" was not loaded: select it, or load the relation.`);
  return value;
}

/** The relations that the condition looks at, as TypeORM's `relations` names them: `shares`, `shares.reader`. */
export function relationsOf(condition: Condition<never>): readonly string[] {
  switch (condition.kind) {
    case 'is':
      return [];
    case 'some':
      return [
        condition.relation,
        ...relationsOf(condition.where).map((below) => `${condition.relation}.${below}`),
      ];
    case 'not':
      return relationsOf(condition.of);
    case 'all':
    case 'any':
      return [...new Set(condition.of.flatMap((each) => relationsOf(each)))];
  }
}
