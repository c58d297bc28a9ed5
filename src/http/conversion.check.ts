import type { Type } from '@nestjs/common';
import { plainToInstance } from 'class-transformer';

const isNumber = (made: unknown): boolean =>
  typeof made === 'bigint' || (typeof made === 'number' && !Number.isNaN(made));

const isDate = (made: unknown): boolean => made instanceof Date && !Number.isNaN(made.getTime());

/** Texts that a loose conversion makes something of, and what nobody may make of them. */
const PROBES: readonly (readonly [text: string, isLoose: (made: unknown) => boolean])[] = [
  ['false', (made) => made === true],
  ['0', (made) => made === true || isDate(made)],
  ['', isNumber],
  [' ', isNumber],
  ['0x10', isNumber],
  ['1e3', isNumber],
  [' 5', isNumber],
];

/**
 * What a property of a class makes of texts before any rule looks at them: `@Type(() => Boolean)` turns "false" into
 * true, `@Type(() => Number)` an empty text into 0 (ASVS 15.3.5). It is asked, not read: a `@Transform` can do the same.
 */
export function conversionFaults(dto: Type, properties: readonly string[]): string[] {
  return properties.flatMap((property) => {
    const loose = PROBES.find(([text, isLoose]) => isLoose(converted(dto, property, text)));
    return loose
      ? [
          `${dto.name}.${property} turns the text ${JSON.stringify(loose[0])} into a value: take the text and check it with @Matches, or write a @Transform that accepts one notation and leaves everything else as it is`,
        ]
      : [];
  });
}

function converted(dto: Type, property: string, text: string): unknown {
  try {
    const made = plainToInstance(dto, { [property]: text }) as Record<string, unknown>;
    return made[property];
  } catch {
    // It refuses what it does not know: that is strict.
    return undefined;
  }
}
