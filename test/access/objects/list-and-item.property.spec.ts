import * as fc from 'fast-check';
import type { DataSource } from 'typeorm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  allOf,
  anyOf,
  not,
  oneOf,
  some,
  SUBJECT,
  type Condition,
} from '../../../src/access/objects/condition.js';
import { objectRule } from '../../../src/access/objects/object-rule.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { newSubject } from '../access.fixtures.js';
import { filterOf, Folder, idsOf, isGranted, listDatabase, Mark, Note, type Asked } from './list.fixtures.js';

let database: TestDatabase;
let source: DataSource;
beforeAll(async () => {
  database = await createTestDatabase();
  source = await listDatabase(database);
});
afterAll(async () => {
  await source.destroy();
  await database.drop();
});

const UUIDS = [newSubject(), newSubject(), newSubject()];
/** What somebody could put into an id, a title, a scope. */
const HOSTILE = [
  '',
  ' ',
  "it's",
  "' OR TRUE --",
  '"title"',
  ':title',
  ':zero_trust_1',
  ':...ids',
  '$1',
  '$2; SELECT 1',
  '\\',
  '{a,b}',
  'null',
  'NULL',
  'Ä🦊ẞ',
  'a\u0000b',
  '\ud800',
  '\ufffd',
  'x'.repeat(5_000),
  '7',
  '007',
  '1e3',
  '-0',
  'true',
  'draft',
  'DRAFT',
  UUIDS[0]!.toUpperCase(),
  `${UUIDS[0]!} `,
  UUIDS[0]!.replaceAll('-', ''),
];
const TEXTS = [...HOSTILE.filter((text) => !/[\0\ud800]/.test(text)), ...UUIDS, 'acme', 'p1'];
const nullable = <T>(...values: readonly T[]): fc.Arbitrary<T | null> =>
  fc.option(fc.constantFrom(...values), { nil: null, freq: 4 });

const rows = fc.array(
  fc.record({
    ownerId: nullable(...UUIDS),
    title: nullable(...TEXTS),
    rank: nullable(0, 7, -7, 2_147_483_647),
    size: nullable('0', '7', '9223372036854775807'),
    isOpen: nullable(true, false),
    state: nullable<'draft' | 'done'>('draft', 'done'),
    projectId: nullable(...TEXTS),
    tenantId: nullable('acme', 'beta', "it's"),
    isDeleted: fc.constantFrom(false, false, true),
    notes: fc.array(
      fc.record({
        accountId: nullable(...UUIDS),
        access: nullable('read', 'write', ...TEXTS),
        isDeleted: fc.constantFrom(false, false, false, true),
        marks: fc.array(nullable('red', "gr'een", ':blue'), { maxLength: 2 }),
      }),
      { maxLength: 3 },
    ),
  }),
  { minLength: 25, maxLength: 25 },
);

const subjects = fc.constantFrom(...UUIDS, ...HOSTILE);
const someOf = <T>(...values: readonly T[]): fc.Arbitrary<T[]> =>
  fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 });
const texts = someOf<string | typeof SUBJECT>(SUBJECT, ...TEXTS, ...HOSTILE);

const ofMark = texts.map((values): Condition<Mark> => oneOf<Mark>('colour', values as ['red']));
const ofNote = fc.letrec<{ node: Condition<Note>; leaf: Condition<Note> }>((tie) => ({
  leaf: fc.oneof(
    texts.map((values) => oneOf<Note>('accountId', values as [string])),
    texts.map((values) => oneOf<Note>('access', values as [string])),
    ofMark.map((where) => some<Note>('marks', where as never)),
  ),
  node: fc.oneof(
    { maxDepth: 2 },
    tie('leaf'),
    tie('node').map((of) => not(of)),
    fc.array(tie('node'), { minLength: 1, maxLength: 2 }).map((of) => anyOf(...of)),
    fc.array(tie('node'), { minLength: 1, maxLength: 2 }).map((of) => allOf(...of)),
  ),
})).node;
const ofFolder = fc.letrec<{ node: Condition<Folder>; leaf: Condition<Folder> }>((tie) => ({
  leaf: fc.oneof(
    texts.map((values) => oneOf<Folder>('ownerId', values as [string])),
    texts.map((values) => oneOf<Folder>('title', values as [string])),
    someOf(0, 7, -7, 7.5, -0, 1e21, 2_147_483_648).map((values) => oneOf<Folder>('rank', values)),
    someOf('7', '07', '0', '-0', '9223372036854775808', ...HOSTILE).map((values) =>
      oneOf<Folder>('size', values),
    ),
    someOf(true, false).map((values) => oneOf<Folder>('isOpen', values)),
    texts.map((values) => oneOf<Folder>('state', values as ['draft'])),
    ofNote.map((where) => some<Folder>('notes', where as never)),
  ),
  node: fc.oneof(
    { maxDepth: 3 },
    tie('leaf'),
    tie('node').map((of) => not(of)),
    fc.array(tie('node'), { minLength: 1, maxLength: 3 }).map((of) => anyOf(...of)),
    fc.array(tie('node'), { minLength: 1, maxLength: 3 }).map((of) => allOf(...of)),
  ),
})).node;

const SCOPED = {
  project: 'projectId',
  tenant: 'tenantId',
  rank: 'rank',
  size: 'size',
  owner: 'ownerId',
} as const;
const scopeIds = fc.constantFrom(
  ...TEXTS,
  ...HOSTILE,
  ...UUIDS,
  'acme',
  'beta',
  '0',
  '-7',
  '9223372036854775807',
);
const permissions = ['folders:read', 'folders:write', 'folders:read-any'] as const;
const questions: fc.Arbitrary<Asked<Folder>> = fc
  .record({
    when: ofFolder,
    subject: subjects,
    asked: fc.subarray(['folders:read', 'folders:write'] as const, { minLength: 1 }),
    everywhere: fc.subarray([...permissions]),
    scoped: fc.array(
      fc.tuple(
        fc.constantFrom(...Object.keys(SCOPED)),
        scopeIds,
        fc.subarray([...permissions], { minLength: 1 }),
      ),
      { maxLength: 8 },
    ),
    kinds: fc.subarray(Object.entries(SCOPED)),
    isOverridden: fc.boolean(),
    tenant: fc.constantFrom(undefined, 'acme', 'beta', "it's"),
  })
  .map(({ when, subject, asked, everywhere, scoped, kinds, isOverridden, tenant }) => ({
    rule: objectRule<Folder>({
      type: 'folder',
      name: 'random',
      when,
      scopes: Object.fromEntries(kinds),
      ...(isOverridden && { overriddenBy: 'folders:read-any' as never }),
    }),
    subject,
    permissions: asked,
    held: {
      '': everywhere,
      ...Object.fromEntries(scoped.map(([kind, id, names]) => [`${kind}:${id}`, names])),
    },
    tenant,
  }));

async function store(drawn: typeof rows extends fc.Arbitrary<infer Rows> ? Rows : never): Promise<void> {
  await source.query('TRUNCATE list_test."Folder of notes", list_test.note, list_test.mark');
  const deletedAt = (isDeleted: boolean): Date | null => (isDeleted ? new Date(0) : null);
  let mark = 0;
  const folders = drawn.map(({ isDeleted, notes, ...columns }) => {
    const id = newSubject();
    return {
      folder: { id, ...columns, place: {}, deletedAt: deletedAt(isDeleted) },
      notes: notes.map(({ isDeleted, marks, ...note }) => {
        const noteId = newSubject();
        return {
          note: { id: noteId, folderId: id, ...note, deletedAt: deletedAt(isDeleted) },
          marks: marks.map((colour) => ({ id: (mark += 1), colour, note: { id: noteId } })),
        };
      }),
    };
  });
  await source.manager.insert(
    Folder,
    folders.map(({ folder }) => folder),
  );
  const notes = folders.flatMap((each) => each.notes);
  await source.manager.insert(
    Note,
    notes.map(({ note }) => note),
  );
  await source.manager.insert(
    Mark,
    notes.flatMap((each) => each.marks),
  );
}

test('RBAC-21 a list holds exactly the objects on which decide() grants, for any condition, scopes, tenant, rows and subject', async () => {
  const sizes = new Set<number>();
  await fc.assert(
    fc.asyncProperty(rows, fc.array(questions, { minLength: 40, maxLength: 40 }), async (drawn, asked) => {
      await store(drawn);
      const folders = await source.manager.find(Folder, { relations: { notes: { marks: true } } });
      for (const question of asked) {
        const granted = folders.filter((folder) => isGranted(question, folder)).map(({ id }) => id);
        const query = source.manager.createQueryBuilder(Folder, 'folder');
        const listed = await idsOf(filterOf(question).applyTo(query));
        expect(listed).toEqual(granted.sort());
        sizes.add(listed.length);
      }
    }),
    { numRuns: 40, endOnFailure: true },
  );
  // Neither always all nor always none.
  expect(sizes.size).toBeGreaterThan(5);
}, 240_000);
