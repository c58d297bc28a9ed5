import 'reflect-metadata';
import { getMetadataStorage, IsIn, IsString, Matches, MaxLength } from 'class-validator';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Every class that describes a body, a query or parameters, of the kit and of the sample. */
async function inputs(): Promise<(abstract new () => unknown)[]> {
  const files = ['src', 'sample/src'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.(dto|query)\.ts$/.test(path))
      .map((path) => join(root, folder, path)),
  );
  const modules = (await Promise.all(files.map((file) => import(file)))) as Record<string, unknown>[];
  const classes = modules
    .flatMap((module) => Object.values(module))
    .filter(
      (each): each is abstract new () => unknown =>
        typeof each === 'function' && /^class\b/.test(String(each)),
    );
  return [...new Set(classes)].filter((each) => rulesOf(each).length > 0);
}

interface Rule {
  readonly property: string;
  readonly name: string;
  readonly text: string;
}

function rulesOf(input: abstract new () => unknown): Rule[] {
  return getMetadataStorage()
    .getTargetValidationMetadatas(input, '', true, false)
    .map(({ propertyName, name, type, constraints }) => {
      const rule = name ?? type;
      const values = ((constraints as unknown[] | undefined) ?? []).filter(
        (each) => each instanceof RegExp || Array.isArray(each) || typeof each === 'number',
      );
      // Whether something may be absent is said by a function, which a document cannot show.
      const shown = /optional|conditional/i.test(rule)
        ? 'may be absent'
        : [rule, ...values.map(String)].join(' ');
      return { property: propertyName, name: rule, text: shown };
    });
}

/** Rules that bound a text, each by itself. */
const BOUNDS =
  /^(maxLength|isLength|isIn|isEnum|isUuid|isIBAN|isEmailAddress|isPasswordText|isTotpCode|isFactorCode|isMoment|isCursor)$/;
const bounds = ({ name, text }: Rule): boolean =>
  BOUNDS.test(name) || (name === 'matches' && isBounded(text));

/** An expression that is anchored and repeats nothing without an end. */
function isBounded(text: string): boolean {
  const source = text.replace(/^matches \/(.*)\/[a-z]*$/s, '$1');
  return /^\^.*\$$/s.test(source) && !/[*+]|\{\d+,\}/.test(source.replace(/\\.|\[[^\]]*\]/g, 'x'));
}

const propertiesOf = (rules: readonly Rule[]): Map<string, Rule[]> => {
  const properties = new Map<string, Rule[]>();
  for (const rule of rules) properties.set(rule.property, [...(properties.get(rule.property) ?? []), rule]);
  return properties;
};

describe('what the kit and the sample take in', () => {
  test('V2.1.1 docs/inputs.md names every field with its rules', async () => {
    const documented = [
      ...readFileSync(join(root, 'docs/inputs.md'), 'utf8').matchAll(
        /^\| `(\w+)` +\| `(\w+)` +\| (.+?) +\|$/gm,
      ),
    ].map(
      ([, input, property, rules]) =>
        `${input!}.${property!}: ${rules!.replaceAll('\\|', '|').replaceAll('`', '')}`,
    );
    const there = (await inputs()).flatMap((input) =>
      [...propertiesOf(rulesOf(input))].map(
        ([property, rules]) =>
          `${input.name}.${property}: ${rules
            .map(({ text }) => text)
            .sort()
            .join(', ')}`,
      ),
    );
    expect(there.length).toBeGreaterThan(30);
    expect(documented.sort()).toEqual(there.sort());
  });

  test('V1.3.3 every text is bounded in length', async () => {
    const unbounded = (await inputs()).flatMap((input) =>
      [...propertiesOf(rulesOf(input))]
        .filter(([, rules]) => !rules.some(({ name }) => ['isInt', 'isNumber', 'isBoolean'].includes(name)))
        .filter(([, rules]) => !rules.some(bounds))
        .map(([property]) => `${input.name}.${property}`),
    );
    expect(unbounded).toEqual([]);
  });

  test('V1.3.3 a text without an end would be found', () => {
    class Loose {
      @IsString() any!: string;
      @Matches(/^a+$/) repeated!: string;
      @Matches(/a{3}/) unanchored!: string;
      @MaxLength(3) bounded!: string;
      @IsIn(['a']) listed!: string;
      @Matches(/^[a-z+]{3}$/) exact!: string;
    }
    const found = [...propertiesOf(rulesOf(Loose))].filter(([, rules]) => !rules.some(bounds));
    expect(found.map(([property]) => property)).toEqual(['any', 'repeated', 'unanchored']);
  });

  test('V6.4.2 no field asks for a hint, a question or an answer to one', async () => {
    const named = (await inputs()).flatMap((input) => rulesOf(input).map(({ property }) => property));
    expect(named.filter((property) => /hint|question|answer|remind|maiden/i.test(property))).toEqual([]);
    const migrations = ['migrations', 'sample/migrations'].flatMap((folder) =>
      readdirSync(join(root, folder)).map((file) => readFileSync(join(root, folder, file), 'utf8')),
    );
    const columns = migrations.flatMap(
      (sql) => sql.match(/^ +[a-z_]+(?= +(text|bytea|uuid|timestamptz|integer|bigint|smallint)\b)/gm) ?? [],
    );
    expect(columns.length).toBeGreaterThan(20);
    expect(columns.filter((column) => /hint|question|answer|remind|maiden/.test(column))).toEqual([]);
  });

  test('V14.2.1 no path and no query carries a secret', async () => {
    const inUrls = (await inputs()).filter(({ name }) => /Query|NameDto/.test(name));
    expect(inUrls.length).toBeGreaterThan(2);
    const named = inUrls.flatMap((input) => rulesOf(input).map(({ property }) => property));
    expect(named.filter((property) => /password|token|secret|code|credential|key/i.test(property))).toEqual(
      [],
    );
  });
});
