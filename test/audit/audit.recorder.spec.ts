import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RequestContext } from '../../src/core/request-context.js';
import type { SecurityEvent } from '../../src/core/security-events.js';
import { ZeroTrustError } from '../../src/core/zero-trust-error.js';
import { AuditedApplication } from './audited.application.js';

const change = (action: SecurityEvent['action'] = 'thing.changed'): SecurityEvent => ({
  action,
  outcome: 'success',
  delivery: 'same-transaction',
});
const refusal = (changes: Partial<SecurityEvent> = {}): SecurityEvent => ({
  action: 'access.refused',
  outcome: 'failure',
  delivery: 'detached',
  reason: 'a permission is missing',
  ...changes,
});

let audited: AuditedApplication;

beforeEach(async () => {
  audited = await AuditedApplication.start();
  await audited.owner.query('CREATE SCHEMA shop');
  await audited.owner.query('CREATE TABLE shop.item (name text NOT NULL)');
  await audited.owner.query('GRANT USAGE ON SCHEMA shop TO zt_app');
  await audited.owner.query('GRANT SELECT, INSERT ON shop.item TO zt_app');
});
afterEach(() => audited.close());

const sell = async (name: string): Promise<void> => {
  await audited.unitOfWork.query('INSERT INTO shop.item VALUES ($1)', [name]);
};
const items = async (): Promise<string[]> =>
  (await audited.owner.query<{ name: string }>('SELECT name FROM shop.item ORDER BY name')).rows.map(
    ({ name }) => name,
  );

describe('a change and its event', () => {
  test('commit together, in one transaction', async () => {
    await audited.unitOfWork.run(async () => {
      await sell('lamp');
      await audited.events.publish(change());
    });
    expect(await items()).toEqual(['lamp']);
    const { rows } = await audited.owner.query(
      `SELECT i.xmin::text::bigint % 4294967296 = (p.xid::text::bigint) % 4294967296 AS same
       FROM shop.item i, audit.pending p`,
    );
    expect(rows).toEqual([{ same: true }]);
  });

  test('roll back together: no entry without a change', async () => {
    const failed = audited.unitOfWork.run(async () => {
      await sell('lamp');
      await audited.events.publish(change());
      throw new Error('the sale fell through');
    });
    await expect(failed).rejects.toThrow('the sale fell through');
    expect(await items()).toEqual([]);
    expect(await audited.entries()).toEqual([]);
  });

  test('AUD-18 what cannot be recorded does not happen: 503, and nothing of it is committed', async () => {
    await audited.owner.query('REVOKE INSERT (id, log_id, entry) ON audit.pending FROM zt_app');
    const sale = audited.unitOfWork.run(async () => {
      await sell('lamp');
      await audited.events.publish(change());
    });
    await expect(sale).rejects.toMatchObject({ code: 'temporarily-unavailable', status: 503 });
    expect(await items()).toEqual([]);
    await audited.owner.query('GRANT INSERT (id, log_id, entry) ON audit.pending TO zt_app');
    await audited.unitOfWork.run(async () => {
      await sell('chair');
      await audited.events.publish(change());
    });
    expect(await items()).toEqual(['chair']);
    expect(await audited.actions()).toEqual(['thing.changed']);
  });

  test('outside of a unit of work is a mistake of the program, not a missing entry', async () => {
    await expect(audited.events.publish(change())).rejects.toThrow(TypeError);
    expect(await audited.entries()).toEqual([]);
  });

  test('roll back to a savepoint takes the entry along, and only it', async () => {
    await audited.unitOfWork.run(async () => {
      await audited.events.publish(change('thing.first'));
      await audited.unitOfWork.query('SAVEPOINT half');
      await audited.events.publish(change('thing.second'));
      await audited.unitOfWork.query('ROLLBACK TO SAVEPOINT half');
      await audited.events.publish(change('thing.third'));
    });
    expect(await audited.actions()).toEqual(['thing.first', 'thing.third']);
  });

  test('a refusal inside a unit of work stays although the unit rolls back', async () => {
    const failed = audited.unitOfWork.run(async () => {
      await sell('lamp');
      await audited.events.publish(refusal());
      throw new ZeroTrustError('permission-denied', { detail: 'a permission is missing' });
    });
    await expect(failed).rejects.toThrow(ZeroTrustError);
    expect(await items()).toEqual([]);
    expect(await audited.actions()).toEqual(['access.refused']);
  });

  test('two changes at the same time leave two entries with different ids', async () => {
    const sale = (name: string): Promise<void> =>
      audited.unitOfWork.run(async () => {
        await sell(name);
        await audited.events.publish(change());
      });
    await Promise.all(['lamp', 'chair'].map(sale));
    const entries = await audited.entries();
    expect(new Set(entries.map(({ id }) => id)).size).toBe(2);
    for (const { id, event } of entries) expect(event).toMatchObject({ metadata: { uid: id } });
  });
});

describe('an entry', () => {
  test('bears the id of the request that it answers, and who asked', async () => {
    const context = new RequestContext({ transport: 'http', receivedAtMs: 0, sourceAddress: '203.0.113.9' });
    context.authenticateAs({ kind: 'account', subject: 'alice', sessionId: 'session-1' });
    await RequestContext.run(context, () => audited.events.publish(refusal()));
    const [stored] = await audited.entries();
    expect(stored?.event).toMatchObject({
      metadata: { correlation_uid: context.id },
      actor: { user: { uid: 'alice' }, session: { uid: 'session-1' } },
      time: audited.clock.atMs,
    });
  });

  test('AUD-21 holds neither the address of the caller nor an unclassified fact', async () => {
    const context = new RequestContext({ transport: 'http', receivedAtMs: 0, sourceAddress: '203.0.113.9' });
    const detail = { code: 'invalid-credentials', password: 'hunter2 hunter2' };
    await RequestContext.run(context, () => audited.events.publish(refusal({ detail })));
    const [stored] = await audited.entries();
    expect(stored?.entry.toString()).not.toMatch(/203\.0\.113\.9|hunter2/);
  });
});

describe('repeated refusals', () => {
  const refuse = async (times: number, changes: Partial<SecurityEvent> = {}): Promise<void> => {
    for (let at = 0; at < times; at += 1) await audited.events.publish(refusal(changes));
  };
  const accountedFor = async (): Promise<number> =>
    (await audited.entries()).reduce((sum, { event }) => sum + (event.count ?? 1), 0);

  test('AUD-30 a flood grows the log by a few entries, and their counts add up to every refusal', async () => {
    await refuse(2000);
    expect(await audited.entries()).toHaveLength(5);
    audited.clock.atMs += 9000;
    await refuse(1);
    await audited.recorder.flush();
    const entries = await audited.entries();
    expect(entries).toHaveLength(6);
    expect(entries.at(-1)?.event).toMatchObject({
      count: 1996,
      start_time: audited.clock.atMs - 9000,
      end_time: audited.clock.atMs,
      status_detail: 'a permission is missing',
    });
    expect(await accountedFor()).toBe(2001);
  });

  test('AUD-30 a flood of different refusals is bounded as well', async () => {
    for (let at = 0; at < 1200; at += 1) await audited.events.publish(refusal({ actor: String(at) }));
    await audited.recorder.flush();
    expect(await audited.entries()).toHaveLength(1001);
    expect(await accountedFor()).toBe(1200);
  });

  test('are counted while the log cannot be written, and written when it can', async () => {
    await refuse(10);
    await audited.owner.query('REVOKE INSERT (id, log_id, entry) ON audit.pending FROM zt_app');
    await refuse(7);
    await audited.recorder.flush();
    // The window is over: these would be written whole, and each fails.
    for (let at = 0; at < 3; at += 1) {
      await expect(audited.events.publish(refusal({ actor: 'bob' }))).rejects.toMatchObject({ status: 503 });
    }
    await audited.owner.query('GRANT INSERT (id, log_id, entry) ON audit.pending TO zt_app');
    await audited.recorder.flush();
    const gap = (await audited.entries()).find(({ event }) => event.metadata.event_code === 'audit.gap');
    expect(gap?.event).toMatchObject({ count: 3, severity_id: 4 });
    expect(await accountedFor()).toBe(20);
  });

  test('that were counted are written when the application stops', async () => {
    await refuse(12);
    await audited.app.close();
    expect(await accountedFor()).toBe(12);
  });

  test('are no success: every success is written, however often it comes', async () => {
    for (let at = 0; at < 20; at += 1) {
      await audited.events.publish({ action: 'audit.read', outcome: 'success', delivery: 'detached' });
    }
    expect(await audited.entries()).toHaveLength(20);
  });
});
