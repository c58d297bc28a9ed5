import type { Type } from '@nestjs/common';
import { plainToInstance } from 'class-transformer';
import { getMetadataStorage, type ValidationArguments } from 'class-validator';
import type { Schema } from './json-schema.js';
import { both, keywordsOf } from './rule-keywords.js';

type Rule = ReturnType<ReturnType<typeof getMetadataStorage>['getTargetValidationMetadatas']>[number];

/** What a class of input accepts: an object with these properties and no others, as the edge validates it. */
export interface InputSchema {
  readonly type: 'object';
  readonly properties: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties: false;
}

/** Refers to the schema of a class that is nested in another one. */
export type Refer = (nested: Type) => Schema;

const TYPES = new Map<unknown, string>([
  [String, 'string'],
  [Number, 'number'],
  [Boolean, 'boolean'],
  [Array, 'array'],
]);

/**
 * Reads a class by the very rules that its input is validated with, so that nothing is written twice. A rule of one's
 * own says what it means in its `context`: `ValidateBy({ … }, { context: { jsonSchema: { maxLength: 254 } } })`.
 */
export function inputSchema(input: Type, refer: Refer): InputSchema {
  const rules = getMetadataStorage().getTargetValidationMetadatas(input, input.name, false, false);
  const names = [...new Set(rules.map(({ propertyName }) => propertyName))];
  const own = (name: string): Rule[] => rules.filter(({ propertyName }) => propertyName === name);
  const required = names.filter((name) => !own(name).some(({ type }) => type === 'conditionalValidation'));
  return {
    type: 'object',
    properties: Object.fromEntries(
      names.map((name) => [name, propertySchema(input, name, own(name), refer)]),
    ),
    ...(required.length > 0 && { required }),
    additionalProperties: false,
  };
}

function propertySchema(input: Type, name: string, rules: readonly Rule[], refer: Refer): Schema {
  const declared = TYPES.get(Reflect.getMetadata('design:type', input.prototype as object, name));
  const isList = declared === 'array' || rules.some(({ each, name: rule }) => each || rule === 'isArray');
  const schemaOf = (given: readonly Rule[]): Schema =>
    given
      .map((rule) =>
        rule.type === 'nestedValidation' ? nestedSchema(input, name, isList, refer) : ruleSchema(rule),
      )
      .reduce(both, {});
  const isOfItems = ({ each, type }: Rule): boolean => each || (isList && type === 'nestedValidation');
  const items = schemaOf(rules.filter(isOfItems));
  const whole = schemaOf(
    rules.filter((rule) => !isOfItems(rule) && (rule.name !== 'arrayUnique' || isPlain(items))),
  );
  const spoken = [...new Set(rules.flatMap(spokenOf))].join('; ');
  return {
    ...(isList ? { type: 'array', items } : declared !== undefined && !whole['$ref'] && { type: declared }),
    ...(spoken !== '' && { description: spoken }),
    ...whole,
  };
}

/** JSON Schema compares the contents of objects; class-validator takes two that look alike for different ones. */
const isPlain = ({ type }: Schema): boolean =>
  ['string', 'number', 'integer', 'boolean'].includes(String(type));

function ruleSchema({ name, type, constraints, context }: Rule): Schema {
  const { jsonSchema } = (context ?? {}) as { readonly jsonSchema?: Schema };
  return both(jsonSchema ?? {}, keywordsOf(name ?? type, constraints) ?? {});
}

/** The class is asked, not read: what `@Type` names is what class-transformer makes of an empty object. */
function nestedSchema(input: Type, name: string, isList: boolean, refer: Refer): Schema {
  const made = plainToInstance(input, { [name]: isList ? [{}] : {} }) as Record<string, unknown>;
  const value = isList ? (made[name] as readonly unknown[] | undefined)?.[0] : made[name];
  const nested = (value as object | undefined)?.constructor;
  return nested === undefined || nested === Object ? { type: 'object' } : refer(nested as Type);
}

/** What the caller is told when a rule is broken: where it was written for that, or where no keyword says the same. */
function spokenOf(rule: Rule): readonly string[] {
  const { message, constraints, propertyName: property } = rule;
  if (rule.type !== 'customValidation') return [];
  const isWritten = typeof message === 'string' && message !== '';
  if (!isWritten && keywordsOf(rule.name ?? '', constraints) !== undefined) return [];
  const text = isWritten ? message : defaultMessage(rule);
  if (text === undefined) return [];
  const said = text
    .replace(/\$constraint(\d)/g, (_found, at: string) => String(constraints[Number(at) - 1]))
    .replace(/^(each value )in \$property |^\$property /, '$1');
  const told = said.startsWith(`${property} `) ? said.slice(property.length + 1) : said;
  // What only says that something went wrong tells nobody what would be right.
  return /^(each value )?must /.test(told) ? [told] : [];
}

function defaultMessage(rule: Rule): string | undefined {
  const [constraint] = getMetadataStorage().getTargetValidatorConstraints(rule.constraintCls);
  const broken: ValidationArguments = {
    value: undefined,
    constraints: rule.constraints,
    targetName: '',
    object: {},
    property: rule.propertyName,
  };
  try {
    return constraint?.instance.defaultMessage?.(broken);
  } catch {
    // It speaks of the value that was sent; here is none.
    return undefined;
  }
}
