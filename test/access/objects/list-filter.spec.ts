import { Brackets, Raw, type DataSource, type SelectQueryBuilder } from 'typeorm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  allOf,
  anyOf,
  is,
  not,
  oneOf,
  some,
  SUBJECT,
  type Condition,
} from '../../../src/access/objects/condition.js';
import { objectRule, type ObjectRule } from '../../../src/access/objects/object-rule.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { newSubject } from '../access.fixtures.js';
import { filterOf, Folder, idsOf, isGranted, listDatabase, Mark, Note, type Asked } from './list.fixtures.js';

const alice = newSubject();
const bob = newSubject();
/** Ten folders of alice and ten of bob, in turns; each with two notes for the other, one of them softly deleted. */
const folders = Array.from({ length: 20 }, (_, at) => ({
  id: newSubject(),
  ownerId: at % 2 === 0 ? alice : bob,
  title: `title ${at}`,
  rank: at,
  place: { city: at % 2 === 0 ? alice : bob },
  deletedAt: at >= 18 ? new Date(0) : null,
}));
const idsOfOwner = (owner: string): string[] =>
  folders
    .filter(({ ownerId, deletedAt }) => ownerId === owner && !deletedAt)
    .map(({ id }) => id)
    .sort();

let database: TestDatabase;
let source: DataSource;
beforeAll(async () => {
  database = await createTestDatabase();
  source = await listDatabase(database);
  await source.manager.insert(Folder, folders);
  const notes = folders.flatMap(({ id, ownerId }) =>
    [null, new Date(0)].map((deletedAt) => ({
      ...{ id: newSubject(), folderId: id, access: deletedAt ? 'write' : 'read', deletedAt },
      accountId: ownerId === alice ? bob : alice,
    })),
  );
  await source.manager.insert(Note, notes);
});
afterAll(async () => {
  await source.destroy();
  await database.drop();
});

const rule = (when: Condition<Folder>, more: Partial<ObjectRule<Folder>> = {}): ObjectRule<Folder> =>
  objectRule<Folder>({ ...(more as object), type: 'folder', name: 'test', when });
const owned = rule(is('ownerId', SUBJECT));
const ofAlice = { rule: owned, subject: alice };
const query = (alias = 'folder'): SelectQueryBuilder<Folder> =>
  source.manager.createQueryBuilder(Folder, alias);

describe('a filter and what the query says beside it', () => {
  test('RBAC-21 an "or" that stood there before does not let in what the filter keeps out', async () => {
    const asked = query().where('folder.rank < 3').orWhere('folder.rank < 6');
    expect(await idsOf(filterOf(ofAlice).applyTo(asked))).toEqual(
      folders
        .filter(({ rank, ownerId }) => rank < 6 && ownerId === alice)
        .map(({ id }) => id)
        .sort(),
    );
  });

  test('RBAC-21 what would take the filter away, or an alternative to it, is refused with a mend', () => {
    const asked = filterOf(ofAlice).applyTo(query());
    const late = /call them before applyTo\(\), or andWhere\(\) after it/;
    expect(() => asked.where('folder.rank = 1')).toThrow(late);
    expect(() => asked.orWhere('folder.rank = 1')).toThrow(late);
    expect(() => asked.whereInIds([folders[1]!.id])).toThrow(late);
    expect(() => asked.orWhereInIds([folders[1]!.id])).toThrow(late);
    expect(() => asked.whereExists(query('other'))).toThrow(late);
    expect(() => asked.orWhereExists(query('other'))).toThrow(late);
  });

  test.each<[name: string, add: (asked: SelectQueryBuilder<Folder>) => SelectQueryBuilder<Folder>]>([
    ['a text', (asked) => asked.andWhere('folder.rank = 0 OR folder.rank = 1')],
    ['a function', (asked) => asked.andWhere(() => 'folder.rank = 0 OR folder.rank = 1')],
    ['raw SQL', (asked) => asked.andWhere({ rank: Raw((rank) => `${rank} = 0 OR ${rank} = 1`) })],
    ['a list', (asked) => asked.andWhere([{ rank: 0 }, { rank: 1 }])],
    ['the options of find()', (asked) => asked.setFindOptions({ where: [{ rank: 0 }, { rank: 1 }] })],
    ['ids', (asked) => asked.andWhereInIds([folders[0]!.id, folders[1]!.id])],
    ['a text, to a copy', (asked) => asked.clone().andWhere('folder.rank = 0 OR folder.rank = 1')],
  ])('RBAC-21 an "or" that comes afterwards, as %s, lets nobody past the filter', async (_name, add) => {
    expect(await idsOf(add(filterOf(ofAlice).applyTo(query())))).toEqual([folders[0]!.id]);
  });

  test('RBAC-21 beside the expression too, every condition stands in brackets of its own', async () => {
    const either = 'folder.rank = 0 OR folder.rank = 1';
    const [before, after, late] = [query(), query(), query()];
    before.where(either).andWhere(filterOf(ofAlice).expression(before));
    after.where(filterOf(ofAlice).expression(after)).andWhere(either);
    const filter = filterOf(ofAlice).expression(late);
    late.where(either).andWhere(filter);
    const [inside, insideBefore] = [query(), query()];
    inside.where(new Brackets((each) => each.where(filterOf(ofAlice).expression(inside)).andWhere(either)));
    insideBefore.where(
      new Brackets((each) => each.where(either).andWhere(filterOf(ofAlice).expression(insideBefore))),
    );
    for (const asked of [before, after, late, inside, insideBefore])
      expect(await idsOf(asked)).toEqual([folders[0]!.id]);
  });

  test('RBAC-21 a copy keeps the filter, and a change of what is listed, or a cache of it, is refused', () => {
    const asked = filterOf(ofAlice).applyTo(query());
    for (const each of [asked.clone(), asked.clone().clone()]) {
      expect(() => each.where('folder.rank = 1')).toThrow(/would take the filter of the list away/);
      expect(() => each.orWhere('folder.rank = 1')).toThrow(/would take the filter of the list away/);
      for (const change of ['update', 'delete', 'softDelete', 'restore'] as const)
        expect(() => each[change]()).toThrow(/A filtered list is read/);
      expect(() => each.cache('folders')).toThrow(/leave cache\(\) out/);
    }
  });

  test('what is added afterwards narrows further', async () => {
    const asked = filterOf(ofAlice)
      .applyTo(query())
      .andWhere('folder.rank IN (:...ranks)', { ranks: [0, 1, 2] });
    expect(await idsOf(asked)).toEqual([folders[0]!.id, folders[2]!.id].sort());
  });

  test('as an expression it stands in brackets of its own, also in an "or" that was meant', async () => {
    const asked = query();
    asked
      .where('folder.rank = 1')
      .orWhere(
        new Brackets((where) =>
          where.where(filterOf(ofAlice).expression(asked)).andWhere('folder.rank = :rank', { rank: 2 }),
        ),
      );
    expect(await idsOf(asked)).toEqual([folders[1]!.id, folders[2]!.id].sort());
  });

  test('two filters in one query both count, and neither loses its values', async () => {
    const twice = filterOf(ofAlice).applyTo(filterOf({ ...ofAlice, subject: bob }).applyTo(query()));
    expect(await idsOf(twice)).toEqual([]);
    const filter = filterOf(ofAlice);
    expect(await idsOf(filter.applyTo(filter.applyTo(query())))).toEqual(idsOfOwner(alice));
    const either = query();
    either
      .where(filterOf(ofAlice).expression(either))
      .orWhere(filterOf({ ...ofAlice, subject: bob }).expression(either));
    expect(await either.getCount()).toBe(18);
  });

  test('its parameters keep clear of those that the query has', async () => {
    const names = Array.from({ length: 200 }, (_, at) => `zero_trust_${at.toString(36)}`);
    const taken = Object.fromEntries(names.map((name) => [name, bob]));
    const asked = filterOf(ofAlice).applyTo(
      query()
        .where(`folder.owner_id <> :${names[7]!}`, taken)
        .andWhere('folder.title <> :subject', { subject: ':zero_trust_1' }),
    );
    expect(await idsOf(asked)).toEqual(idsOfOwner(alice));
    for (const name of names) expect(asked.getParameters()[name]).toBe(bob);
  });

  test.each([['folder'], ['f'], ['Folder Of "Alice"'], ['ownerId'], ['select'], ['a.b'], ["it's"], ['Ä']])(
    'the alias %j is quoted',
    async (alias) => {
      expect(await idsOf(filterOf(ofAlice).applyTo(query(alias)))).toEqual(idsOfOwner(alice));
    },
  );

  test('pages with joins, and counts, are those of the filter', async () => {
    const asked = (): SelectQueryBuilder<Folder> =>
      filterOf(ofAlice).applyTo(query().leftJoinAndSelect('folder.notes', 'note').orderBy('folder.rank'));
    expect(await asked().getCount()).toBe(9);
    const [page, count] = await asked().skip(2).take(3).getManyAndCount();
    expect(count).toBe(9);
    expect(page.map(({ rank }) => rank)).toEqual([4, 6, 8]);
    expect(page.map(({ notes }) => notes.length)).toEqual([1, 1, 1]);
    expect(await asked().getExists()).toBe(true);
    expect(await asked().select('count(DISTINCT folder.id)::int', 'n').orderBy().getRawOne()).toEqual({
      n: 9,
    });
    expect((await asked().clone().getMany()).length).toBe(9);
  });

  test('it narrows the rows of the alias that is named, which may be joined or of a subquery', async () => {
    const notes = source.manager.createQueryBuilder(Note, 'note').innerJoin('note.folder', 'folder');
    notes.andWhere(filterOf(ofAlice).expression(notes, 'folder'));
    expect(await notes.getCount()).toBe(9);
    const outer = query('outer');
    const inner = outer.subQuery().select('folder.id').from(Folder, 'folder');
    inner.where(filterOf(ofAlice).expression(inner, 'folder'));
    outer.where(`outer.id IN ${inner.getQuery()}`).setParameters(inner.getParameters());
    expect(await idsOf(outer)).toEqual(idsOfOwner(alice));
  });

  test('softly deleted objects appear where they are asked for, softly deleted relations nowhere', async () => {
    expect(await filterOf(ofAlice).applyTo(query().withDeleted()).getCount()).toBe(10);
    const shared = (way: string): Asked<Folder> => ({
      rule: rule(some('notes', allOf(is('accountId', SUBJECT), is('access', way)))),
      subject: alice,
    });
    expect(await idsOf(filterOf(shared('read')).applyTo(query()))).toEqual(idsOfOwner(bob));
    expect(await idsOf(filterOf(shared('write')).applyTo(query()))).toEqual([]);
    const loaded = await source.manager.find(Folder, { relations: { notes: true } });
    expect(loaded.filter((folder) => isGranted(shared('write'), folder))).toEqual([]);
  });

  test('an owned list uses the index of the owner, and so does one in a scope', async () => {
    await source.query('CREATE INDEX folder_owner ON list_test."Folder of notes" (owner_id)');
    const planOf = async (asked: Asked<Folder>): Promise<string> => {
      const [sql, values] = filterOf(asked).applyTo(query().withDeleted()).getQueryAndParameters();
      return source.transaction(async (manager) => {
        await manager.query('SET LOCAL enable_seqscan = off');
        return JSON.stringify(await manager.query(`EXPLAIN ${sql}`, values));
      });
    };
    // PostgreSQL asks an index for the very value, not for each row.
    const byIndex = /folder_owner.*Index Cond: \(owner_id = /;
    expect(await planOf(ofAlice)).toMatch(byIndex);
    const scoped = rule(not(is('title', 'none')), { scopes: { owner: 'ownerId' } });
    expect(
      await planOf({ rule: scoped, subject: alice, held: { [`owner:${alice}`]: ['folders:read'] } }),
    ).toMatch(byIndex);
  });
});

describe('what nobody can ask of PostgreSQL is refused, with a mend', () => {
  const refused =
    (when: Condition<Folder>, alias?: string): (() => unknown) =>
    () =>
      filterOf({ rule: rule(when), subject: alice }).applyTo(query(), alias);

  test.each<[string, Condition<Folder>, RegExp]>([
    ['an unknown property', is('nothing' as 'title', 'x'), /Folder has no column "nothing"/],
    ['an inherited name', is('toString' as 'title', 'x'), /Folder has no column "toString"/],
    ['a relation', is('notes' as 'title', 'x'), /Folder has no column "notes"/],
    ['the name of a column that is no property', is('owner_id' as 'title', 'x'), /has no column "owner_id"/],
    ['SQL in place of a property', is('title" = title OR "' as 'title', 'x'), /has no column/],
    [
      'a property of an embedded object',
      is('place.city' as 'title', 'x'),
      /has no column "place.city" of its own/,
    ],
    ['an embedded object', is('place' as 'title', 'x'), /Folder has no column "place"/],
    ['char', is('padded', 'x'), /Folder.padded compares in PostgreSQL otherwise/],
    ['numeric', is('amount', '1'), /Folder.amount compares in PostgreSQL otherwise/],
    ['simple-array', is('tags' as 'title', 'x'), /Folder.tags compares in PostgreSQL otherwise/],
    ['an array', is('words' as 'title', 'x'), /Folder.words compares in PostgreSQL otherwise/],
    ['what a transformer rewrites', is('trimmed', 'x'), /Folder.trimmed compares in PostgreSQL otherwise/],
    ['a time', is('deletedAt' as 'title', 'x'), /Folder.deletedAt compares in PostgreSQL otherwise/],
    [
      'the subject and a number',
      is('rank' as 'title', SUBJECT),
      /Folder.rank is compared with what is no number/,
    ],
    ['a text and a number', is('rank' as 'title', '7'), /Folder.rank is compared with what is no number/],
    ['a number and a text', is('title' as 'rank', 7), /Folder.title is compared with what is no string/],
    ['a number and a bigint', is('size' as 'rank', 7), /Folder.size is compared with what is no string/],
    [
      'an unknown relation',
      some('nothing' as 'notes', is('accountId', SUBJECT)),
      /no one-to-many relation "nothing"/,
    ],
    [
      'a column as relation',
      some('title' as 'notes', is('accountId', SUBJECT)),
      /no one-to-many relation "title"/,
    ],
    [
      'an unknown property of a relation',
      some('notes', is('nobody' as 'access', 'x')),
      /Note has no column "nobody"/,
    ],
    [
      'a many-to-one relation',
      some('notes', some('folder' as 'marks', is('colour', 'x'))),
      /Note has no one-to-many relation "folder": some\(\) names a property with @OneToMany/,
    ],
    [
      'a many-to-one relation as column',
      some('notes', is('folder' as 'access', SUBJECT)),
      /Note has no column "folder"/,
    ],
  ])('%s', (_name, when, message) => {
    expect(refused(when)).toThrow(TypeError);
    expect(refused(when)).toThrow(message);
  });

  test('an alias that the query does not have, or that is of no entity', () => {
    expect(refused(is('ownerId', SUBJECT), 'nobody')).toThrow(/no entity under the alias "nobody"/);
    const raw = source.createQueryBuilder().select('1').from('pg_class', 'c');
    expect(() => filterOf(ofAlice).expression(raw, 'c')).toThrow(/no entity under the alias "c"/);
  });

  test('another entity than that of the rule', () => {
    const marks = source.manager.createQueryBuilder(Mark, 'mark');
    expect(() => filterOf(ofAlice).expression(marks)).toThrow(/Mark has no column "ownerId"/);
  });

  test('a scope by a column that holds no ids, whether or not anybody holds anything there', () => {
    for (const property of ['isOpen', 'padded', 'nothing'] as const) {
      const scoped = rule(is('ownerId', SUBJECT), { scopes: { project: property as 'title' } });
      expect(() => filterOf({ rule: scoped, subject: alice, held: {} }).applyTo(query())).toThrow(TypeError);
    }
  });

  test('a rule that is a predicate', () => {
    const predicate = objectRule<Folder>({ type: 'folder', name: 'predicate', holds: () => true });
    expect(() => filterOf({ rule: predicate, subject: alice })).toThrow(
      'The rule "predicate" of folder is a predicate, which PostgreSQL cannot ask: declare it with "when".',
    );
  });

  test('who asks for nothing lists nothing', async () => {
    expect(await idsOf(filterOf({ ...ofAlice, permissions: [] }).applyTo(query()))).toEqual([]);
    const forged: ObjectRule<Folder> = { ...owned, when: { kind: 'is', property: 'title', values: [] } };
    expect(await idsOf(filterOf({ rule: forged, subject: alice }).applyTo(query()))).toEqual([]);
  });
});

describe('a condition on an object that is at hand', () => {
  const folder = {
    ownerId: alice,
    title: 'x',
    rank: 7,
    size: '7',
    isOpen: true,
    notes: [],
  };
  const holds = (when: Condition<Folder>, object: unknown, subject = alice): boolean =>
    isGranted({ rule: rule(when), subject }, object as Folder);

  test('null equals nothing, and so is no reason for a refusal of its negation', () => {
    const nobody = { ...folder, ownerId: null };
    expect(holds(is('ownerId', SUBJECT), nobody)).toBe(false);
    expect(holds(not(is('ownerId', SUBJECT)), nobody)).toBe(true);
  });

  test('RBAC-27 what was not loaded, or is of another type than it is compared with, refuses, negated or not', () => {
    const strange: [Condition<Folder>, unknown][] = [
      [is('ownerId', SUBJECT), {}],
      [is('ownerId', SUBJECT), { ownerId: { id: alice } }],
      [is('ownerId', SUBJECT), { ownerId: [alice] }],
      [is('ownerId', SUBJECT), { ownerId: 7 }],
      [is('rank' as 'title', SUBJECT), { rank: 7 }],
      [is('rank', 7), { rank: '7' }],
      [is('rank', 7), { rank: 7n }],
      [is('isOpen', true), { isOpen: 1 }],
      [is('toString' as 'title', 'x'), {}],
      [some('notes', is('accountId', SUBJECT)), {}],
      [some('notes', is('accountId', SUBJECT)), { notes: null }],
      [some('notes', is('accountId', SUBJECT)), { notes: Promise.resolve([]) }],
      [some('notes', is('accountId', SUBJECT)), { notes: [{}] }],
      [some('notes', is('accountId', SUBJECT)), { notes: [null] }],
    ];
    for (const [when, object] of strange) {
      expect([when, holds(when, object)]).toEqual([when, false]);
      expect([when, holds(not(when), object)]).toEqual([when, false]);
    }
  });

  test('a subject in upper case is whom PostgreSQL writes in lower case, and who was written as they are', async () => {
    const loud: Asked<Folder> = { rule: owned, subject: alice.toUpperCase() };
    expect(holds(is('ownerId', SUBJECT), folder, loud.subject)).toBe(true);
    expect(await idsOf(filterOf(loud).applyTo(query()))).toEqual(idsOfOwner(alice));
    const titled = not<Folder>(is('title', SUBJECT));
    // Four eyes: who wrote themselves down in upper case is not somebody else.
    for (const title of [alice, alice.toUpperCase()]) {
      expect(holds(titled, { ...folder, title }, loud.subject)).toBe(false);
    }
  });

  test.each<[string, () => unknown]>([
    ['oneOf() of nothing', () => oneOf<Folder>('title', [])],
    ['anyOf() of nothing', () => anyOf()],
    ['allOf() of nothing', () => allOf()],
    ['undefined', () => is<Folder>('title', undefined as never)],
    ['null', () => is<Folder>('title', null as never)],
    ['NaN', () => is<Folder>('rank', Number.NaN)],
    ['infinity', () => is<Folder>('rank', Number.POSITIVE_INFINITY)],
    ['an object', () => is<Folder>('title', {} as never)],
    ['another symbol', () => is<Folder>('title', Symbol('subject') as never)],
    ['a bigint', () => is<Folder>('size', 7n as never)],
  ])('%s is refused when the condition is written', (_name, write) => {
    expect(write).toThrow(TypeError);
  });
});

test('the compiler knows the properties, and that the subject is a text', () => {
  // Without naming types: they follow from the rule.
  const rules = [
    objectRule<Folder>({
      type: 'folder',
      name: 'inferred',
      when: anyOf(is('ownerId', SUBJECT), some('notes', is('accountId', SUBJECT))),
      scopes: { project: 'projectId' },
    }),
    objectRule<Folder>({
      type: 'folder',
      name: 'nested',
      when: not(
        allOf(
          is('rank', 7),
          oneOf('state', ['draft', 'done']),
          some('notes', allOf(not(is('access', 'read')), some('marks', is('colour', 'red')))),
        ),
      ),
    }),
    // @ts-expect-error a misspelt property
    objectRule<Folder>({ type: 'folder', name: 'x', when: is('ownerID', SUBJECT) }),
    // @ts-expect-error a misspelt property inside
    objectRule<Folder>({ type: 'folder', name: 'x', when: anyOf(is('ownerID', SUBJECT), is('rank', 1)) }),
    // @ts-expect-error a value of another type
    objectRule<Folder>({ type: 'folder', name: 'x', when: is('rank', '7') }),
    // @ts-expect-error no value of the enumeration
    objectRule<Folder>({ type: 'folder', name: 'x', when: is('state', 'gone') }),
    // @ts-expect-error the subject is no number
    objectRule<Folder>({ type: 'folder', name: 'x', when: is('rank', SUBJECT) }),
    // @ts-expect-error the subject is no related object
    objectRule<Note>({ type: 'note', name: 'x', when: is('folder', SUBJECT) }),
    // @ts-expect-error a misspelt relation
    objectRule<Folder>({ type: 'folder', name: 'x', when: some('note', is('accountId', SUBJECT)) }),
    // @ts-expect-error a misspelt property of a relation
    objectRule<Folder>({ type: 'folder', name: 'x', when: some('notes', is('accountID', SUBJECT)) }),
    // @ts-expect-error a misspelt property of a scope
    objectRule<Folder>({ type: 'folder', name: 'x', when: is('rank', 1), scopes: { project: 'projectID' } }),
  ];
  expect(rules).toHaveLength(11);
});
