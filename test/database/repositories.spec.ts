import { Injectable, Module } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { getRepositoryToken, InjectRepository } from '@nestjs/typeorm';
import { readFile } from 'node:fs/promises';
import { Column, DataSource, Entity, PrimaryColumn, Repository } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DatabaseModule } from '../../src/database/database.module.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

@Entity({ schema: 'shop', name: 'item' })
class Item {
  @PrimaryColumn({ type: 'int' })
  id!: number;

  @Column({ type: 'text', nullable: true })
  owner!: string | null;
}

@Injectable()
class ItemsService {
  // As every Nest and TypeORM engineer writes it.
  constructor(@InjectRepository(Item) readonly items: Repository<Item>) {}
}

@Module({ imports: [DatabaseModule.forFeature([Item])], providers: [ItemsService], exports: [ItemsService] })
class ItemsModule {}

let database: TestDatabase;
let app: TestingModule;
let items: Repository<Item>;
let unitOfWork: UnitOfWork;

beforeAll(async () => {
  database = await createTestDatabase();
  const owner = await new DataSource({ type: 'postgres', url: database.ownerUrl }).initialize();
  await owner.query(`CREATE SCHEMA shop; CREATE TABLE shop.item (id int PRIMARY KEY, owner text);
    GRANT USAGE ON SCHEMA shop TO zt_app; GRANT SELECT, INSERT, UPDATE, DELETE ON shop.item TO zt_app`);
  await owner.destroy();
  app = await Test.createTestingModule({
    imports: [DatabaseModule.forRoot({ url: database.appUrl }), ItemsModule],
  }).compile();
  items = app.get(ItemsService).items;
  unitOfWork = app.get(UnitOfWork);
});
afterAll(async () => {
  await app.close();
  await database.drop();
});
beforeEach(() => items.createQueryBuilder().delete().execute());

describe('a repository of DatabaseModule.forFeature', () => {
  test('is a real TypeORM repository, under the token of @nestjs/typeorm', () => {
    expect(items).toBeInstanceOf(Repository);
    expect(app.get(getRepositoryToken(Item), { strict: false })).toBe(items);
    expect(items.metadata.tablePath).toBe('shop.item');
  });

  test('stands alone outside of a unit of work', async () => {
    await items.save({ id: 1, owner: 'a' });
    expect(await items.findOneByOrFail({ id: 1 })).toEqual({ id: 1, owner: 'a' });
  });

  const ways: [string, () => Promise<unknown>][] = [
    ['save', () => items.save({ id: 1, owner: 'new' })],
    ['insert', () => items.insert({ id: 2, owner: 'new' })],
    ['update', () => items.update({ id: 1 }, { owner: 'new' })],
    ['upsert', () => items.upsert({ id: 1, owner: 'new' }, ['id'])],
    ['delete', () => items.delete({ id: 1 })],
    ['remove', async () => items.remove(await items.findOneByOrFail({ id: 1 }))],
    ['query', () => items.query('DELETE FROM shop.item')],
    ['createQueryBuilder', () => items.createQueryBuilder().update().set({ owner: 'new' }).execute()],
    ['manager.save', () => items.manager.save(Item, { id: 2, owner: 'new' })],
    ['a transaction inside', () => items.manager.transaction((manager) => manager.delete(Item, { id: 1 }))],
    [
      'extend',
      () =>
        items
          .extend({
            drop(this: Repository<Item>) {
              return this.delete({ id: 1 });
            },
          })
          .drop(),
    ],
  ];
  test.each(ways)('%s joins the unit of work, sees its writes, and rolls back with it', async (_, change) => {
    await items.insert({ id: 1, owner: 'old' });
    const failing = unitOfWork.run(async () => {
      await change();
      const inside = await items.find({ order: { id: 'ASC' } });
      expect(inside).not.toEqual([{ id: 1, owner: 'old' }]);
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(await items.find()).toEqual([{ id: 1, owner: 'old' }]);
  });

  test('commits together with the statements of the kit', async () => {
    await unitOfWork.run(async () => {
      await items.save({ id: 1, owner: 'a' });
      await unitOfWork.query('INSERT INTO shop.item VALUES ($1, $2)', [2, 'b']);
    });
    expect(await items.count()).toBe(2);
  });

  test('an extended one made outside joins the unit of work as well', async () => {
    const extended = items.extend({
      add(this: Repository<Item>, id: number) {
        return this.insert({ id, owner: null });
      },
    });
    await unitOfWork
      .run(async () => {
        await extended.add(5);
        throw new Error('no');
      })
      .catch(() => undefined);
    expect(await items.count()).toBe(0);
  });

  test('is not the one that dataSource.getRepository hands to others', () => {
    expect(app.get(DataSource).getRepository(Item)).not.toBe(items);
    expect(app.get(DataSource).manager.getRepository(Item).manager).toBe(app.get(DataSource).manager);
  });
});

describe('VAL-10 a condition that is null or undefined is refused, never dropped', () => {
  const nothing = undefined as unknown as string;
  const empty = null as unknown as string;
  const ways: [string, () => Promise<unknown>][] = [
    ['findOneBy undefined', () => items.findOneBy({ owner: nothing })],
    ['findOneBy null', () => items.findOneBy({ owner: empty })],
    ['find', () => items.find({ where: { owner: nothing } })],
    ['count', () => items.countBy({ owner: nothing })],
    ['delete undefined', () => items.delete({ owner: nothing })],
    ['delete null', () => items.delete({ owner: empty })],
    ['update undefined', () => items.update({ owner: nothing }, { owner: 'mine' })],
    ['update null', () => items.update({ owner: empty }, { owner: 'mine' })],
    ['softDelete', () => items.softDelete({ owner: nothing })],
  ];
  test.each(ways)(
    'VAL-10 %s throws and touches nothing, inside and outside of a unit of work',
    async (_, attempt) => {
      await items.insert([
        { id: 1, owner: 'a' },
        { id: 2, owner: 'b' },
      ]);
      await expect(attempt()).rejects.toThrow();
      await expect(unitOfWork.run(attempt)).rejects.toThrow();
      expect(await items.find({ order: { id: 'ASC' } })).toEqual([
        { id: 1, owner: 'a' },
        { id: 2, owner: 'b' },
      ]);
    },
  );

  test('VAL-10 the installed TypeORM guards write paths as well (1.1.0 or newer)', async () => {
    const lock = JSON.parse(await readFile(new URL('../../package-lock.json', import.meta.url), 'utf8')) as {
      packages: Record<string, { version: string }>;
    };
    const [major = 0, minor = 0] = lock.packages['node_modules/typeorm']!.version.split('.').map(Number);
    expect(major * 1000 + minor).toBeGreaterThanOrEqual(1001);
  });
});
