import { Injectable, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { Column, DataSource, Entity, PrimaryColumn, type DataSourceOptions } from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { BootError } from '../../src/core/zero-trust-error.js';
import { KitDataSource } from '../../src/database/data-source.js';
import { openDatabase } from '../../src/database/database.boot.js';
import { DatabaseModule } from '../../src/database/database.module.js';
import type { DatabaseOptions } from '../../src/database/database.options.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

@Entity({ schema: 'documents', name: 'document' })
class Unnamed {
  @PrimaryColumn({ type: 'uuid' })
  id!: string;

  @Column({ type: 'text' })
  title!: string;
}

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

async function asOwner(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: database.ownerUrl });
  await client.connect();
  await client.query(sql).finally(() => client.end());
}

async function refusal(options: DatabaseOptions): Promise<BootError> {
  const answer: unknown = await openDatabase(options, []).then(
    async (opened) => {
      await opened.dataSource.destroy();
      return 'it started';
    },
    (error: unknown) => error,
  );
  expect(answer).toBeInstanceOf(BootError);
  return answer as BootError;
}

const strict = { null: 'throw', undefined: 'throw' } as const;
const own = (more: Partial<DataSourceOptions> = {}): DataSource =>
  new DataSource({
    type: 'postgres',
    url: database.appUrl,
    invalidWhereValuesBehavior: strict,
    ...more,
  } as DataSourceOptions);

describe('FLT-16 the database room refuses to start', () => {
  test('FLT-16 without url and dataSource, and with both', async () => {
    expect((await refusal({})).message).toContain('url');
    expect((await refusal({ url: database.appUrl, dataSource: own() })).message).toContain('leave one out');
  });

  test('FLT-16 on options out of range, all named at once', async () => {
    const { faults } = await refusal({
      url: database.appUrl,
      poolSize: 0,
      connectTimeoutMs: 1.5,
      statementTimeoutMs: -1,
    });
    expect(faults.map((fault) => fault.split(':')[0])).toEqual([
      'poolSize',
      'connectTimeoutMs',
      'statementTimeoutMs',
    ]);
  });

  test('FLT-16 on a URL that is none, without repeating it', async () => {
    for (const url of [
      'secret-word',
      'mysql://u:secret-word@h/d',
      'postgres://u:secret-word@h',
      'postgres://u:secret-word@h/d?password=x',
    ]) {
      const { message } = await refusal({ url });
      expect(message).toContain('url');
      expect(message).not.toContain('secret-word');
    }
  });

  test('FLT-16 when nobody listens: one clear line, and no password in it', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    server.close();
    await once(server, 'close');
    const { faults, message } = await refusal({ url: `postgres://app:secret-word@127.0.0.1:${port}/portal` });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain('cannot be reached');
    expect(faults[0]).not.toContain('\n');
    expect(message).not.toContain('secret-word');
  });

  test('FLT-16 when the database accepts and says nothing, after connectTimeoutMs', async () => {
    const server = createServer(() => undefined).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const before = performance.now();
    const { message } = await refusal({
      url: `postgres://app:x@127.0.0.1:${port}/portal`,
      connectTimeoutMs: 100,
    });
    expect(performance.now() - before).toBeLessThan(5000);
    expect(message).toContain('cannot be reached');
    server.close();
  });

  test('FLT-16 on a wrong password, without repeating it', async () => {
    const url = Object.assign(new URL(database.appUrl), { password: 'secret-word' }).href;
    const { message } = await refusal({ url });
    expect(message).toContain('cannot be reached');
    expect(message).not.toContain('secret-word');
  });

  test("OPS-07 with the owner's login", async () => {
    const { message } = await refusal({ url: database.ownerUrl });
    expect(message).toContain('CREATEROLE');
    expect(message).toMatch(/owns, or may act as the owner of, database/);
    expect(message).toContain('zero-trust migrate');
  });

  test('OPS-07 with a superuser', async () => {
    expect((await refusal({ url: database.superuserUrl })).message).toMatch(/is a superuser/);
  });

  test('OPS-07 with a login that owns a single table, or may act for who does', async () => {
    const login = new URL(database.appUrl).username;
    const { username: owner } = new URL(database.ownerUrl);
    await asOwner(
      `CREATE TABLE public.mine (id int); GRANT ${login} TO ${owner}; GRANT CREATE ON SCHEMA public TO ${login}; ALTER TABLE public.mine OWNER TO ${login}`,
    );
    try {
      expect((await refusal({ url: database.appUrl })).message).toContain('table public.mine');
    } finally {
      await asOwner(
        `DROP TABLE public.mine; REVOKE CREATE ON SCHEMA public FROM ${login}; REVOKE ${login} FROM ${owner} GRANTED BY ${owner}`,
      );
    }
  });

  test('on a schema that lacks a migration of the kit, naming it and the command', async () => {
    const [row] = await (async () => {
      const client = new pg.Client({ connectionString: database.ownerUrl });
      await client.connect();
      const { rows } = await client.query<{ name: string; timestamp: string }>(
        `DELETE FROM zero_trust.migration WHERE name LIKE 'Database%' RETURNING name, timestamp`,
      );
      await client.end();
      return rows;
    })();
    const { message } = await refusal({ url: database.appUrl });
    await asOwner(
      `INSERT INTO zero_trust.migration (name, timestamp) VALUES ('${row!.name}', ${row!.timestamp})`,
    );
    expect(message).toContain('1764000000001-database');
    expect(message).toContain('zero-trust migrate');
  });

  test('on a database that was never migrated', async () => {
    const empty = Object.assign(new URL(database.appUrl), { pathname: '/postgres' }).href;
    expect((await refusal({ url: empty })).message).toContain('zero-trust migrate');
  });

  test('on a migration of the application itself that was not applied', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'migrations-'));
    await writeFile(join(directory, '1764000009999-later.sql'), 'SELECT 1;');
    const { message } = await refusal({ url: database.appUrl, migrationDirectories: [directory] });
    await rm(directory, { recursive: true });
    expect(message).toContain('1764000009999-later');
  });

  const unsafe: [string, Partial<DataSourceOptions>, string][] = [
    ['synchronize', { synchronize: true }, 'synchronize'],
    ['dropSchema', { dropSchema: true }, 'dropSchema'],
    [
      'loose conditions',
      { invalidWhereValuesBehavior: { null: 'throw', undefined: 'ignore' } },
      'invalidWhereValuesBehavior',
    ],
    [
      'conditions left at their default',
      { invalidWhereValuesBehavior: undefined },
      'invalidWhereValuesBehavior',
    ],
  ];
  test.each(unsafe)('on a dataSource with %s, before it opens it', async (_, more, named) => {
    const dataSource = own(more);
    expect((await refusal({ dataSource })).message).toContain(named);
    expect(dataSource.isInitialized).toBe(false);
  });

  test('on an entity of forFeature that the own dataSource does not know', async () => {
    const starting = Test.createTestingModule({
      imports: [DatabaseModule.forRoot({ dataSource: own() }), DatabaseModule.forFeature([Unnamed])],
    }).compile();
    await expect(starting).rejects.toThrow(/Unnamed is no entity/);
  });
});

describe('in production', () => {
  const before = process.env['NODE_ENV'];
  afterEach(() => {
    process.env['NODE_ENV'] = before;
  });

  test.each(['production', undefined, 'staging'])(
    'a plaintext connection beyond this machine is refused (NODE_ENV %s)',
    async (environment) => {
      if (environment === undefined) delete process.env['NODE_ENV'];
      else process.env['NODE_ENV'] = environment;
      for (const more of [{ tls: 'off' as const }, {}]) {
        const url = `postgres://app:x@db.example.test/portal${more.tls ? '' : '?sslmode=disable'}`;
        expect((await refusal({ url, ...more })).message).toContain('in the clear');
      }
    },
  );

  test('the loopback needs no TLS', async () => {
    process.env['NODE_ENV'] = 'production';
    const opened = await openDatabase({ url: database.appUrl }, []);
    await opened.dataSource.destroy();
  });
});

describe('a started DatabaseModule', () => {
  test("closes the DataSource that it opened, and leaves the host's own open", async () => {
    const ours = await Test.createTestingModule({
      imports: [DatabaseModule.forRoot({ url: database.appUrl })],
    }).compile();
    const { dataSource } = ours.get(KitDataSource);
    await ours.close();
    expect(dataSource.isInitialized).toBe(false);

    const theirs = await own({ entities: [Unnamed] }).initialize();
    const app = await Test.createTestingModule({
      imports: [
        DatabaseModule.forRootAsync({ useFactory: () => ({ dataSource: theirs }) }),
        DatabaseModule.forFeature([Unnamed]),
      ],
    }).compile();
    expect(app.get(KitDataSource).dataSource).toBe(theirs);
    await app.close();
    expect(theirs.isInitialized).toBe(true);
    await theirs.destroy();
  });

  test('is visible to every module without an import', async () => {
    @Injectable()
    class Somebody {
      constructor(readonly unitOfWork: UnitOfWork) {}
    }
    @Module({ providers: [Somebody] })
    class Elsewhere {}
    const app = await Test.createTestingModule({
      imports: [DatabaseModule.forRoot({ url: database.appUrl }), Elsewhere],
    }).compile();
    expect(await app.get(Somebody).unitOfWork.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await app.close();
  });

  test('never turns synchronize on, and needs no extension', async () => {
    const opened = await openDatabase({ url: database.appUrl }, [Unnamed]);
    expect(opened.dataSource.options).toMatchObject({
      synchronize: false,
      migrationsRun: false,
      installExtensions: false,
    });
    await opened.dataSource.destroy();
  });
});
