import { Test } from '@nestjs/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AuditReader } from '../../src/audit/audit.reader.js';
import { AuditSettings } from '../../src/audit/audit.settings.js';
import { AuditModule } from '../../src/audit/audit.module.js';
import { PipelineModule } from '../../src/core/pipeline.module.js';
import { DatabaseModule } from '../../src/database/database.module.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/** What stops the start, or undefined. */
async function faultOf(readerUrl: string): Promise<string | undefined> {
  const reader = new AuditReader(new AuditSettings({ readerUrl }));
  try {
    await reader.onModuleInit();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    await reader.onApplicationShutdown();
  }
}

describe('AuditModule', () => {
  test('starts with the audit login, alone beside the pipeline and the database', async () => {
    expect(await faultOf(database.auditUrl)).toBeUndefined();
    const alone = await Test.createTestingModule({
      imports: [
        PipelineModule,
        DatabaseModule.forRoot({ url: database.appUrl }),
        AuditModule.forRootAsync({ useFactory: () => ({ readerUrl: database.auditUrl }) }),
      ],
    }).compile();
    await alone.close();
  });

  test('AUD-02 refuses to start with a login that cannot read the log, or could rewrite it', async () => {
    expect(await faultOf(database.appUrl)).toMatch(
      /readerUrl: its login may not read audit\.pending; give the audit/,
    );
    expect(await faultOf(database.ownerUrl)).toMatch(/readerUrl: its login could rewrite the log/);
    expect(await faultOf(database.superuserUrl)).toMatch(/readerUrl: its login could rewrite the log/);
  });

  test('refuses to start with a login that does not exist, in one line without its password', async () => {
    const wrong = new URL(database.auditUrl);
    wrong.password = 'not-the-password';
    const fault = await faultOf(wrong.href);
    expect(fault).toMatch(
      /^AuditModule refuses to start:\n {2}- readerUrl: cannot be used: .* Is it running/,
    );
    expect(fault).not.toContain('not-the-password');
  });
});
