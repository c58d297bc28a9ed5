import type { Type } from '@nestjs/common';
import { getMetadataStorage, type ValidationError } from 'class-validator';

interface Shape {
  readonly property: string;
  readonly isList: boolean;
  readonly isNested: boolean;
}

const shapes = new WeakMap<Type, readonly Shape[]>();

/**
 * What class-validator lets pass: a rule for each item of a list also accepts one item without a list, and
 * `@ValidateNested()` accepts `[]` for an object and `[[]]` for a list of objects. Handlers would meet a value of
 * another shape than their class says.
 */
export function listShapeErrors(instance: object): ValidationError[] {
  return shapesOf(instance.constructor as Type).flatMap(({ property, isList, isNested }) => {
    const value = (instance as Record<string, unknown>)[property];
    if (value === undefined || value === null) return [];
    if (isList !== Array.isArray(value))
      return [error(property, isList ? 'must be a list' : 'must be an object')];
    if (!isNested) return [];
    const items = Array.isArray(value) ? (value as unknown[]) : [value];
    if (items.some((item) => Array.isArray(item))) return [error(property, 'must be a list of objects')];
    return items.flatMap((item) => {
      if (typeof item !== 'object' || item === null) return [];
      const children = listShapeErrors(item);
      return children.length > 0 ? [{ property, children }] : [];
    });
  });
}

function shapesOf(dto: Type): readonly Shape[] {
  const known = shapes.get(dto);
  if (known) return known;
  const rules = getMetadataStorage().getTargetValidationMetadatas(dto, dto.name, false, false);
  const found = [...new Set(rules.map(({ propertyName }) => propertyName))].flatMap((property) => {
    const type = Reflect.getMetadata('design:type', dto.prototype as object, property) as unknown;
    const own = rules.filter(({ propertyName }) => propertyName === property);
    const isNested = own.some((rule) => rule.type === 'nestedValidation');
    // An interface, a union or a text: their own rules say all there is to say.
    const isList = type === Array;
    return isList || (isNested && type !== Object) ? [{ property, isList, isNested }] : [];
  });
  shapes.set(dto, found);
  return found;
}

const error = (property: string, message: string): ValidationError => ({
  property,
  constraints: { shape: `${property} ${message}` },
  children: [],
});
