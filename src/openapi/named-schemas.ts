import type { Type } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { inputSchema } from './input-schema.js';
import type { Schema } from './json-schema.js';

/** What a host may say of a property by `@ApiProperty`; what the rules say of it counts. */
const ANNOTATIONS = ['title', 'description', 'default', 'example', 'examples', 'deprecated'] as const;

/** The classes of input by name, for `components.schemas`. Two classes of one name get two names. */
export class NamedSchemas {
  readonly all: Record<string, Schema> = {};
  readonly #names = new Map<Type, string>();

  readonly refer = (input: Type): Schema => {
    const name = this.#names.get(input) ?? this.#add(input);
    return { $ref: `#/components/schemas/${name}` };
  };

  /** Whether something in it must be sent. */
  demandsSomething(input: Type): boolean {
    return 'required' in inputSchema(input, this.refer);
  }

  #add(input: Type): string {
    const taken = new Set(this.#names.values());
    let name = input.name;
    for (let next = 2; taken.has(name); next += 1) name = `${input.name}${next}`;
    // Before its properties: a class may nest itself.
    this.#names.set(input, name);
    const schema = inputSchema(input, this.refer);
    this.all[name] = {
      ...schema,
      properties: Object.fromEntries(
        Object.entries(schema.properties).map(([property, said]) => [
          property,
          { ...said, ...annotationsOf(input, property) },
        ]),
      ),
    };
    return name;
  }
}

/** Where `@ApiProperty` writes: the name of its metadata is nobody's promise. */
const annotated = { property: undefined };
ApiProperty()(annotated, 'property');
const [ANNOTATED] = Reflect.getMetadataKeys(annotated, 'property') as unknown[];

function annotationsOf(input: Type, property: string): Schema {
  const said = (Reflect.getMetadata(ANNOTATED, input.prototype as object, property) ?? {}) as Schema;
  return Object.fromEntries(
    ANNOTATIONS.filter((each) => said[each] !== undefined).map((each) => [each, said[each]]),
  );
}
