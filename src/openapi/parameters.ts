import { classOf, schemaOfPipes, type HandlerInput } from './handler-inputs.js';
import { inputSchema } from './input-schema.js';
import type { NamedSchemas } from './named-schemas.js';
import { parametersOf } from './path-template.js';
import type { Schema } from './json-schema.js';

export interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema?: Schema;
}

const keyOf = (parameter: Parameter): string => `${parameter.in} ${parameter.name}`;

/**
 * The parameters of an operation: what its classes and pipes say, beside what decorators of @nestjs/swagger say. Each
 * name in the path has one, and none is told of the path that is not in it.
 */
export function parametersIn(
  template: string,
  inputs: readonly HandlerInput[],
  described: readonly Parameter[],
  schemas: NamedSchemas,
): readonly Parameter[] {
  const found = new Map<string, Parameter>();
  for (const parameter of [...described, ...inputs.flatMap((input) => read(input, schemas))]) {
    const known = found.get(keyOf(parameter));
    found.set(keyOf(parameter), { ...known, ...parameter });
  }
  const inPath = parametersOf(template);
  return [
    ...inPath.map((name) => ({
      schema: { type: 'string' },
      ...found.get(`path ${name}`),
      ...{ name, in: 'path', required: true },
    })),
    ...[...found.values()].filter((parameter) => parameter.in !== 'path'),
  ];
}

function read(input: HandlerInput, schemas: NamedSchemas): readonly Parameter[] {
  if (input.source === 'body') return [];
  const type = classOf(input);
  if (type) {
    const { properties, required = [] } = inputSchema(type, schemas.refer);
    return Object.entries(properties).map(([name, { description, ...schema }]) => ({
      name,
      in: input.source,
      required: required.includes(name),
      ...(typeof description === 'string' && { description }),
      schema,
    }));
  }
  const schema = input.schema ?? schemaOfPipes(input.pipes);
  return input.name === undefined || !schema ? [] : [{ name: input.name, in: input.source, schema }];
}
