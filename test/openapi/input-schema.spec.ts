import 'reflect-metadata';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { plainToInstance, Type } from 'class-transformer';
import {
  Allow,
  ArrayMaxSize,
  ArrayMinSize,
  ArrayNotEmpty,
  ArrayUnique,
  Equals,
  IsArray,
  IsBoolean,
  IsEmail,
  IsEnum,
  IsIBAN,
  IsIn,
  IsInt,
  IsNegative,
  IsNotEmpty,
  IsNumber,
  IsObject,
  IsOptional,
  IsPositive,
  IsString,
  IsUUID,
  Length,
  Matches,
  Max,
  MaxLength,
  Min,
  MinLength,
  ValidateBy,
  ValidateIf,
  ValidateNested,
  validateSync,
} from 'class-validator';
import fc from 'fast-check';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { inputSchema } from '../../src/openapi/input-schema.js';
import { NamedSchemas } from '../../src/openapi/named-schemas.js';

type Input = new () => object;

const noReference = (): never => {
  throw new TypeError('nothing is nested here');
};
/** The schema of a class with one property `it`. */
function schemaOf(...decorators: PropertyDecorator[]): unknown {
  class One {}
  for (const decorate of decorators) decorate(One.prototype, 'it');
  return inputSchema(One, noReference).properties['it'];
}

enum Colour {
  Red = 'red',
  Blue = 'blue',
}
const SKU = { context: { jsonSchema: { type: 'string', pattern: '^[A-Z]{2}$' } } };

describe('a rule in JSON Schema', () => {
  test.each<[string, PropertyDecorator[], object]>([
    ['IsString', [IsString()], { type: 'string' }],
    ['IsNotEmpty', [IsString(), IsNotEmpty()], { type: 'string', minLength: 1 }],
    ['MinLength', [MinLength(2)], { minLength: 2 }],
    ['MaxLength', [MaxLength(9)], { maxLength: 9 }],
    ['Length', [Length(2, 9)], { minLength: 2, maxLength: 9 }],
    ['Length without an end', [Length(2)], { minLength: 2 }],
    ['Matches', [Matches(/^a+$/u)], { type: 'string', pattern: '^a+$' }],
    ['Matches with a flag that JSON Schema lacks', [Matches(/^a+$/i)], { type: 'string' }],
    ['IsUUID', [IsUUID()], { type: 'string', format: 'uuid' }],
    ['IsEmail', [IsEmail()], { type: 'string', format: 'email' }],
    ['IsIn', [IsIn(['a', 'b'])], { type: 'string', enum: ['a', 'b'] }],
    ['IsIn of several types', [IsIn(['a', 1])], { enum: ['a', 1] }],
    ['IsEnum', [IsEnum(Colour)], { type: 'string', enum: ['red', 'blue'] }],
    ['Equals', [Equals(7)], { const: 7 }],
    ['IsBoolean', [IsBoolean()], { type: 'boolean' }],
    ['IsInt', [IsInt(), Min(1), Max(5)], { type: 'integer', minimum: 1, maximum: 5 }],
    ['IsNumber', [IsNumber(), IsPositive()], { type: 'number', exclusiveMinimum: 0 }],
    ['IsNegative', [IsNegative()], { exclusiveMaximum: 0 }],
    ['IsObject', [IsObject()], { type: 'object' }],
    ['Allow', [Allow()], {}],
    [
      'a list',
      [IsArray(), ArrayNotEmpty(), ArrayMaxSize(3), ArrayUnique(), IsString({ each: true })],
      { type: 'array', items: { type: 'string' }, minItems: 1, maxItems: 3, uniqueItems: true },
    ],
    ['ArrayMinSize', [IsArray(), ArrayMinSize(2)], { type: 'array', items: {}, minItems: 2 }],
    [
      'ArrayUnique by a part',
      [IsArray(), ArrayUnique((o: { id: string }) => o.id)],
      { type: 'array', items: {} },
    ],
    [
      'two of one kind, which must both hold',
      [Matches(/^a/), Matches(/b$/)],
      { type: 'string', pattern: '^a', allOf: [{ pattern: 'b$' }] },
    ],
    [
      'a rule of its own',
      [ValidateBy({ name: 'isSku', validator: { validate: () => true } }, SKU)],
      SKU.context.jsonSchema,
    ],
    ['an unknown rule, by its message', [IsIBAN()], { description: 'must be an IBAN' }],
    [
      'an unknown rule for each item',
      [IsArray(), IsIBAN({}, { each: true })],
      { type: 'array', items: {}, description: 'each value must be an IBAN' },
    ],
    [
      'a message that was written for the caller',
      [Matches(/^\d+$/, { message: '$property must be digits' })],
      { type: 'string', pattern: '^\\d+$', description: 'must be digits' },
    ],
    ['a message that says nothing of what is right', [IsString({ message: 'wrong' })], { type: 'string' }],
    [
      'a rule whose message asks for the value',
      [
        ValidateBy({
          name: 'odd',
          validator: { validate: () => true, defaultMessage: (given) => (given!.value as string).trim() },
        }),
      ],
      {},
    ],
  ])('%s', (_, decorators, expected) => {
    const said = schemaOf(...decorators) as Record<string, unknown>;
    expect(said).toEqual(expected);
  });

  test('what may be absent is not required, and a class that asks for nothing requires nothing', () => {
    class Some {
      @IsOptional() @IsString() a?: string;
      @ValidateIf(() => true) @IsString() b?: string;
      @IsString() c!: string;
    }
    class None {
      @IsOptional() @IsString() a?: string;
    }
    expect(inputSchema(Some, noReference)).toMatchObject({ required: ['c'], additionalProperties: false });
    expect(Object.keys(inputSchema(Some, noReference).properties)).toEqual(['a', 'b', 'c']);
    expect(inputSchema(None, noReference)).not.toHaveProperty('required');
  });

  test('what is inherited counts', () => {
    class Base {
      @IsString() @MaxLength(5) name!: string;
    }
    class Derived extends Base {
      @IsInt() age!: number;
    }
    expect(inputSchema(Derived, noReference)).toMatchObject({
      properties: { name: { type: 'string', maxLength: 5 }, age: { type: 'integer' } },
    });
  });

  test('what is nested is a schema of its own, also within itself, and an object where nobody says of what', () => {
    class Leaf {
      @IsString() text!: string;
    }
    class Tree {
      @ValidateNested() @Type(() => Leaf) leaf!: Leaf;
      @ValidateNested({ each: true }) @Type(() => Tree) trees!: Tree[];
      @ValidateNested() bare!: object;
    }
    const schemas = new NamedSchemas();
    expect(schemas.refer(Tree)).toEqual({ $ref: '#/components/schemas/Tree' });
    expect(schemas.all['Tree']!['properties']).toEqual({
      leaf: { $ref: '#/components/schemas/Leaf' },
      trees: { type: 'array', items: { $ref: '#/components/schemas/Tree' } },
      bare: { type: 'object' },
    });
    expect(Object.keys(schemas.all).sort()).toEqual(['Leaf', 'Tree']);
    expect(schemas.refer(Tree)).toEqual({ $ref: '#/components/schemas/Tree' });
  });
});

describe('every class that the kit and the sample take in', async () => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const files = ['src', 'sample/src'].flatMap((folder) =>
    readdirSync(`${root}/${folder}`, { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.(dto|query)\.ts$/.test(path))
      .map((path) => `${root}/${folder}/${path}`)
      .sort(),
  );
  const modules = (await Promise.all(files.map((file) => import(file)))) as Record<string, unknown>[];
  const inputs = [...new Set(modules.flatMap((module) => Object.values(module)))].filter(
    (each): each is Input =>
      typeof each === 'function' &&
      /^class\b/.test(String(each)) &&
      Object.keys(inputSchema(each as Input, () => ({})).properties).length > 0,
  );

  test('is found', () => {
    expect(inputs.length).toBeGreaterThan(15);
  });

  /** Texts and values near the edges of the rules in use. */
  const values = fc.oneof(
    fc.constantFrom<unknown>(
      '',
      'a',
      'EUR',
      'x'.repeat(65),
      'x'.repeat(201),
      '100',
      '101',
      '0',
      'admin',
      'a:b',
    ),
    fc.constantFrom<unknown>(
      '00000000-0000-4000-8000-000000000000',
      '123456',
      'someone@example.com',
      'read',
      'totp',
    ),
    fc.constantFrom<unknown>(
      '2030-01-31T12:00:00Z',
      'DE89370400440532013000',
      'y'.repeat(43),
      'password',
      'token',
    ),
    fc.constantFrom<unknown>(
      1,
      0,
      -1,
      1.5,
      100_000_000_001,
      true,
      {},
      [],
      ['a'],
      ['a', 'a'],
      ['a:b'],
      [['a']],
      [1],
    ),
    fc.string({ maxLength: 30 }),
  );

  test.each(inputs.map((input) => [input.name, input] as const))(
    'V2.1.1 %s: whatever passes its rules passes its schema, so that no client is kept from what is allowed',
    (_, input) => {
      const ajv = new Ajv2020({ strict: false });
      ajv.addFormat('uuid', true);
      ajv.addFormat('email', true);
      const { properties, required = [] } = inputSchema(input, noReference);
      const fits = ajv.compile(inputSchema(input, noReference));
      const bodies = fc.record(Object.fromEntries(Object.keys(properties).map((name) => [name, values])), {
        requiredKeys: [...required],
      });
      fc.assert(
        fc.property(bodies, (body) => {
          const accepts = (given: object): boolean =>
            validateSync(plainToInstance(input, given), { whitelist: true, forbidNonWhitelisted: true })
              .length === 0;
          // What a list is, the edge checks beside the rules (list-shape.ts).
          const shaped = Object.entries(properties).every(
            ([name, { type }]) => !(name in body) || (type === 'array') === Array.isArray(body[name]),
          );
          // What a condition of the class leaves unchecked in this body may be anything, and means nothing.
          const counted = Object.entries(body).filter(
            ([name]) => !accepts({ ...body, [name]: { odd: true } }),
          );
          return !accepts(body) || !shaped || fits(Object.fromEntries(counted));
        }),
        { numRuns: 300 },
      );
      expect(fits({ ...Object.fromEntries(required.map((name) => [name, 'a'])), unknown: 1 })).toBe(false);
      if (required.length > 0) expect(fits({})).toBe(false);
    },
  );
});
