import type { Type } from '@nestjs/common';
import { getMetadataStorage } from 'class-validator';
import { conversionFaults } from './conversion.check.js';

const PLAIN: ReadonlySet<unknown> = new Set([
  String,
  Number,
  Boolean,
  BigInt,
  Date,
  Symbol,
  Buffer,
  undefined,
]);

/** Rules that let a property in and say nothing about what it is: a list or an object would pass as its text. */
const SAYS_NOTHING: ReadonlySet<string> = new Set([
  'whitelistValidation',
  'conditionalValidation',
  'isDefined',
  'isNotEmpty',
]);

/** What validation would skip in a class: everything, the items of a list, or what is nested in it. */
export function dtoFaults(dto: Type, seen: ReadonlySet<Type> = new Set()): string[] {
  if (seen.has(dto)) return [];
  const rules = getMetadataStorage().getTargetValidationMetadatas(dto, dto.name, false, false);
  if (rules.length === 0)
    return [
      `${dto.name} has no class-validator rule, so nothing in it could be sent: add rules to its properties`,
    ];
  const properties = [...new Set(rules.map(({ propertyName }) => propertyName))];
  const onProperties = properties.flatMap((property) => {
    const own = rules.filter(({ propertyName }) => propertyName === property);
    const nested = own.some(({ type }) => type === 'nestedValidation');
    if (own.every((rule) => SAYS_NOTHING.has(rule.type) || SAYS_NOTHING.has(rule.name ?? '')))
      return [`${dto.name}.${property} may be anything: add a rule that says what it is, e.g. @IsString()`];
    const type = Reflect.getMetadata('design:type', dto.prototype as object, property) as unknown;
    if (type === Array && !own.some(({ each }) => each)) {
      return [`${dto.name}.${property} is a list whose items nothing checks: add { each: true } to a rule`];
    }
    if (type === Object || type === Array || PLAIN.has(type) || typeof type !== 'function') return [];
    if (!nested)
      return [
        `${dto.name}.${property} is a ${type.name} that nothing checks: add @ValidateNested() and @Type`,
      ];
    return dtoFaults(type as Type, new Set([...seen, dto]));
  });
  return [...onProperties, ...conversionFaults(dto, properties)];
}
