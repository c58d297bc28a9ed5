import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
const page = read('../../docs/testing.md');

/** Blocks may stand less deep than what they are taken from. */
const flat = (code: string): string => code.replace(/^ +/gm, '');

const EXAMPLES = ['module', 'express.spec', 'fastify.spec', 'database.spec', 'sockets.spec'].map((name) =>
  flat(read(`chapter.${name}.ts`)),
);

test('docs/testing.md shows nothing but what is run: each example is a part of the files beside this one', () => {
  const blocks = [...page.matchAll(/^```ts\n([^]*?)^```/gm)].map(([, code]) => flat(code!));
  expect(blocks).toHaveLength(7);
  for (const block of blocks) {
    expect(EXAMPLES.some((example) => example.includes(block)) ? [] : block).toEqual([]);
  }
});

test('docs/testing.md says each option of actingAs', () => {
  const source = read('../../src/testing/acting.ts');
  const options = /const OPTIONS[^{]*\{([^}]*)\}/.exec(source)![1]!;
  const declared = [...options.matchAll(/(\w+): true/g)].map(([, name]) => name);
  const said = [...page.matchAll(/^\| `([a-z]\w+)` +\|/gm)].map(([, name]) => name);
  expect(declared.length).toBeGreaterThan(8);
  expect(said).toEqual(declared);
});
