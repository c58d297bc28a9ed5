import { Controller, Get, Param, type INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { inspect } from 'node:util';
import type { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Authenticator } from '../../src/core/authenticator.js';
import { Pipeline, PASSED } from '../../src/core/pipeline.js';
import { PipelineModule } from '../../src/core/pipeline.module.js';
import { Public } from '../../src/core/route-policy.js';
import { SecurityEvents } from '../../src/core/security-events.js';
import { BootError } from '../../src/core/zero-trust-error.js';
import { DatabaseModule } from '../../src/database/database.module.js';
import { buildDataSource } from '../../src/database/open-data-source.js';
import { UnitOfWork } from '../../src/database/unit-of-work.js';
import { EncryptionModule } from '../../src/encryption/encryption.module.js';
import { FieldCipher } from '../../src/encryption/field-cipher.js';
import { KeyRing } from '../../src/encryption/key-ring.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { newMasterKey } from './replica.js';

let database: TestDatabase;
/** One for all applications here: one that refuses to start does not come to close its own. */
let dataSource: DataSource;

beforeAll(async () => {
  database = await createTestDatabase();
  dataSource = await buildDataSource(database.appUrl, {}, [], false).initialize();
});
afterAll(async () => {
  await dataSource.destroy();
  await database.drop();
});

class Nobody extends Authenticator {
  authenticate(): undefined {
    return undefined;
  }
}

@Controller('vault')
class VaultController {
  constructor(
    private readonly cipher: FieldCipher,
    private readonly unitOfWork: UnitOfWork,
  ) {}

  @Get(':row')
  @Public()
  async read(@Param('row') row: string): Promise<{ value: string }> {
    const [stored] = await this.unitOfWork.query<{ sealed: string }>('SELECT $1::text AS sealed', [
      STORED.get(row),
    ]);
    const sealed = Buffer.from(stored!.sealed, 'hex');
    return { value: await this.cipher.openText({ table: 'vault.item', column: 'value', row }, sealed) };
  }
}

/** What "the database" holds, by row. */
const STORED = new Map<string, string>();

async function start(masterKey: string | undefined): Promise<INestApplication> {
  const module = await Test.createTestingModule({
    imports: [
      PipelineModule,
      DatabaseModule.forRoot({ dataSource }),
      EncryptionModule.forRootAsync({ useFactory: () => Promise.resolve({ masterKey }) }),
    ],
    controllers: [VaultController],
  }).compile();
  const app = module.createNestApplication();
  app.useLogger(false);
  app.get(Pipeline).useAuthenticator(new Nobody());
  app.get(Pipeline).register({ name: 'authorize', judge: () => PASSED });
  return app.init();
}

describe('EncryptionModule', () => {
  test.each([undefined, '', 'secret', '0'.repeat(64)])(
    'JWT-21 refuses to start with the master key %j before anything listens',
    async (masterKey) => {
      await expect(start(masterKey)).rejects.toThrow(BootError);
    },
  );

  test.each([
    [{ dataKeyCacheSeconds: 0 }, 'dataKeyCacheSeconds'],
    [{ dataKeyCacheSeconds: 301 }, 'dataKeyCacheSeconds'],
    [{ dataKeyCacheSeconds: 1.5 }, 'dataKeyCacheSeconds'],
    [{ dataKeyCacheEntries: 9 }, 'dataKeyCacheEntries'],
    [{ dataKeyCacheEntries: Number.NaN }, 'dataKeyCacheEntries'],
  ])('refuses the option %j by its name', async (options, name) => {
    const compiling = Test.createTestingModule({
      imports: [
        PipelineModule,
        DatabaseModule.forRoot({ dataSource }),
        EncryptionModule.forRoot({ masterKey: newMasterKey(), ...options }),
      ],
    }).compile();

    await expect(compiling).rejects.toThrow(name);
  });

  test('works beside PipelineModule and DatabaseModule alone, and ENC-15 answers every failure alike', async () => {
    const app = await start(newMasterKey());
    const events = app.get(SecurityEvents);
    const recorded: (string | undefined)[] = [];
    events.subscribe((event) => void recorded.push(event.reason));
    const cipher = app.get(FieldCipher);
    const seal = async (table: string, row: string): Promise<Buffer> =>
      cipher.sealText({ table, column: 'value', row }, 'treasure');
    const intact = await seal('vault.item', 'intact');
    const tampered = await seal('vault.item', 'tampered');
    tampered[tampered.length - 1]! ^= 1;
    const unknownKey = await seal('vault.item', 'unknown');
    unknownKey.writeInt32BE(1, 1);
    for (const [row, sealed] of [
      ['intact', intact],
      ['tampered', tampered],
      ['unknown', unknownKey],
      ['moved', intact],
      ['foreign', await seal('vault.other', 'foreign')],
      ['missing', Buffer.alloc(0)],
      ['plaintext', Buffer.from('treasure')],
    ] as const) {
      STORED.set(row, sealed.toString('hex'));
    }
    await app.listen(0, '127.0.0.1');
    const ask = async (row: string): Promise<{ status: number; body: string }> => {
      const response = await fetch(`${await app.getUrl()}/vault/${row}`);
      return { status: response.status, body: await response.text() };
    };

    expect(await ask('intact')).toEqual({ status: 200, body: JSON.stringify({ value: 'treasure' }) });
    const answers = [];
    for (const row of ['tampered', 'unknown', 'moved', 'foreign', 'missing', 'plaintext']) {
      answers.push(await ask(row));
    }
    expect(answers[0]?.status).toBe(500);
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(recorded).toHaveLength(6);
    expect(new Set(recorded).size).toBe(4);

    await app.close();
  });

  test('another master key on the same database refuses to start', async () => {
    await expect(start(newMasterKey())).rejects.toThrow('does not open the keys of this database');
  });

  test('the key ring shows nothing of its keys when somebody logs it', async () => {
    const masterKey = newMasterKey();
    const module = await Test.createTestingModule({
      imports: [
        PipelineModule,
        DatabaseModule.forRoot({ dataSource }),
        EncryptionModule.forRoot({ masterKey }),
      ],
    }).compile();
    const shown =
      inspect(module.get(KeyRing), { depth: 10, showHidden: true }) +
      inspect(module.get(FieldCipher), { depth: 10 });

    expect(shown).not.toContain(masterKey);
    expect(shown).not.toContain(Buffer.from(masterKey, 'hex').toString('base64url'));
    expect(shown).not.toMatch(/<Buffer/);
  });
});
