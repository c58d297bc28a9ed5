import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LENGTH = 50_000;
const LIMIT_MS = 100;

interface Found {
  readonly where: string;
  readonly source: string;
  readonly flags: string;
}

/** Every regular expression that stands in the kit or in the sample. */
function expressionsIn(folder: string): Found[] {
  return readdirSync(`${ROOT}/${folder}`, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.includes('dist/'))
    .flatMap((path) => {
      const file = `${folder}/${path}`;
      const parsed = ts.createSourceFile(
        file,
        readFileSync(`${ROOT}/${file}`, 'utf8'),
        ts.ScriptTarget.ES2023,
      );
      const found: Found[] = [];
      const visit = (node: ts.Node): void => {
        if (ts.isRegularExpressionLiteral(node)) {
          const [, source = '', flags = ''] = /^\/(.*)\/([a-z]*)$/s.exec(node.text) ?? [];
          found.push({ where: `${file}:${node.getStart(parsed)}`, source, flags });
        }
        ts.forEachChild(node, visit);
      };
      visit(parsed);
      return found;
    });
}

/** Texts that make a bad expression try again and again: what it mentions, repeated, with an end that cannot match. */
function probesFor(source: string): string[] {
  const mentioned = [...new Set(`${source.replace(/\\[a-zA-Z]/g, '')}a0 -_.:/=,"\t`.split(''))];
  const pairs = mentioned
    .slice(0, 8)
    .map((one, at) => `${one}${mentioned[(at + 1) % mentioned.length] ?? ''}`);
  return [...mentioned, ...pairs].flatMap((unit) => {
    const body = unit.repeat(Math.ceil(LENGTH / unit.length));
    return [body, `${body}\u0000`, `x${body}`];
  });
}

const all = ['src', 'sample/src'].flatMap(expressionsIn);

describe('regular expressions', () => {
  test('VAL-20 a bad expression is one that these probes find', () => {
    expect(isSlow({ where: '', source: '\\s+$', flags: '' })).toBe(true);
  });

  test('VAL-20 each of the kit and the sample answers on 50,000 characters within 100 ms', () => {
    expect(all.length).toBeGreaterThan(50);
    expect(all.filter((found) => isSlow(found))).toEqual([]);
  });
});

function isSlow({ source, flags }: Found): boolean {
  const expression = new RegExp(source, flags.replace(/[gy]/g, ''));
  // The best of several: a pause of the machine is not the expression's.
  return probesFor(source).some((probe) =>
    [1, 2, 3].every(() => {
      const before = performance.now();
      expression.test(probe);
      return performance.now() - before > LIMIT_MS;
    }),
  );
}
