import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PUBLIC_DETAILS } from '../../src/audit/detail.classification.js';
import { encodeEntry } from '../../src/audit/ocsf.encoding.js';
import type { PublishedSecurityEvent, SecurityAction } from '../../src/core/security-events.js';
import { AT_MS, publishedEvent } from './published-event.js';

const isPublic = (name: string): boolean => PUBLIC_DETAILS.includes(name);
const text = (event: PublishedSecurityEvent): string => encodeEntry(event, isPublic).toString('utf8');
const entry = (event: PublishedSecurityEvent): Record<string, unknown> =>
  JSON.parse(text(event)) as Record<string, unknown>;

describe('an entry', () => {
  test('is OCSF 1.8: a refusal at a handler is API Activity with what the class demands', () => {
    const event = publishedEvent({ detail: { code: 'permission-denied' } });
    expect(entry(event)).toEqual({
      class_uid: 6003,
      category_uid: 6,
      activity_id: 99,
      activity_name: 'access.refused',
      type_uid: 600399,
      severity_id: 2,
      status_id: 2,
      status_detail: 'a permission is missing',
      time: AT_MS,
      metadata: {
        version: '1.8.0',
        product: { name: 'nestjs-zero-trust', vendor_name: 'nestjs-zero-trust' },
        uid: event.id,
        event_code: 'access.refused',
        correlation_uid: event.requestId,
      },
      actor: { user: { uid: event.actor }, session: { uid: event.sessionId } },
      api: { operation: 'DocumentsController.list' },
      src_endpoint: { name: 'not recorded' },
      unmapped: {
        handler: 'DocumentsController.list',
        transport: 'http',
        detail: { code: 'permission-denied' },
      },
    });
  });

  test.each<[SecurityAction, number, number]>([
    ['session.opened', 3002, 1],
    ['session.ended', 3002, 2],
    ['authentication.refused', 3002, 1],
    ['account.created', 3001, 1],
    ['account.disabled', 3001, 5],
    ['account.password-changed', 3001, 3],
    ['factor.enrolled', 3001, 10],
    ['factor.removed', 3001, 11],
    ['recovery-code.used', 3001, 99],
    ['session.reuse-detected', 3002, 99],
    ['grant.created', 3004, 1],
    ['grant.revoked', 3004, 4],
    ['role.updated', 3004, 3],
    ['audit.read', 6003, 2],
    ['application.started', 6002, 3],
    ['throttle.refused', 6003, 99],
    ['invoice.approved', 6003, 99],
  ])('%s is of class %i with activity %i', (action, classUid, activityId) => {
    expect(entry(publishedEvent({ action }))).toMatchObject({
      class_uid: classUid,
      category_uid: Math.floor(classUid / 1000),
      activity_id: activityId,
      type_uid: classUid * 100 + activityId,
    });
  });

  test('names whom it was done to: the user of a session, the account that changed, the entity that was managed', () => {
    const id = '0190b1a0-0000-7000-8000-0000000000cc';
    expect(entry(publishedEvent({ action: 'session.ended', target: { type: 'session', id } }))).toMatchObject(
      {
        user: { uid: publishedEvent().actor },
        session: { uid: id },
        unmapped: { target: { type: 'session', id } },
      },
    );
    const account = { type: 'account', id };
    expect(entry(publishedEvent({ action: 'account.disabled', target: account }))).toMatchObject({
      user: { uid: id },
    });
    expect(entry(publishedEvent({ action: 'grant.created', target: { type: 'grant', id } }))).toMatchObject({
      entity: { type: 'grant', uid: id },
    });
  });

  test('says who it was when nobody was authenticated, and when nobody asked', () => {
    const nobody = { actor: undefined, sessionId: undefined };
    expect(entry(publishedEvent(nobody))).toMatchObject({
      actor: { user: { name: 'anonymous', type_id: 0 } },
    });
    expect(entry(publishedEvent({ ...nobody, requestId: undefined }))).toMatchObject({
      actor: { app_name: 'nestjs-zero-trust' },
    });
  });

  test('AUD-21 holds no address and nothing that nobody classified', () => {
    const detail = { code: 'invalid-credentials', email: 'alice@example.test', password: 'hunter2 hunter2' };
    const written = text(publishedEvent({ detail, sourceAddress: '203.0.113.9' }));
    expect(written).not.toMatch(/203\.0\.113\.9|alice|hunter2/);
    expect(JSON.parse(written)).toMatchObject({
      unmapped: { detail: { code: 'invalid-credentials', email: '[redacted]', password: '[redacted]' } },
    });
  });

  test('AUD-21 drops a field that the event type does not have', () => {
    const smuggled = { ...publishedEvent(), accessToken: 'eyJhbGciOi' } as PublishedSecurityEvent;
    expect(text(smuggled)).not.toContain('eyJhbGciOi');
  });

  test('AUD-20 is one line of printable ASCII, whatever a text contains', () => {
    const hostile = 'x\r\n{"level":"info"}\u001b[2J\u2028\u2029\u009b1m\u202e\u0000\ud800é';
    const written = text(publishedEvent({ reason: hostile, handler: hostile, detail: { code: hostile } }));
    expect(written).toMatch(/^[\x20-\x7e]+$/);
    expect(JSON.parse(written)).toMatchObject({
      // What cannot stand in a database text is replaced; everything else is kept, escaped.
      status_detail: 'x\r\n{"level":"info"}\u001b[2J\u2028\u2029\u009b1m\u202e\ufffd\ufffdé',
    });
  });

  test('AUD-20 cuts a text of 100 kB, marks the cut, and stays below 65,535 bytes', () => {
    const long = '\u2028'.repeat(100_000);
    const detail = Object.fromEntries(Array.from({ length: 200 }, (_, at) => [`${String(at)}${long}`, long]));
    const target = { type: long, id: long };
    const everything = publishedEvent({
      ...{ reason: long, actor: long, target, detail, handler: long, requestId: long, sessionId: long },
      action: `grant.${long}`,
    });
    const written = encodeEntry(everything, () => true);
    expect(written.length).toBeLessThan(65_536);
    const { status_detail: reason } = JSON.parse(written.toString()) as { status_detail: string };
    expect(reason).toBe(`${'\u2028'.repeat(256)}[truncated]`);
  });

  test('of any event is JSON of 2 to 65,535 bytes in printable ASCII', () => {
    const anything = fc.string({ unit: 'binary', maxLength: 2000 });
    const fact = fc.oneof(anything, fc.double(), fc.boolean(), fc.constant(null));
    fc.assert(
      fc.property(
        fc.record({
          action: fc.tuple(anything, anything).map(([a, b]): SecurityAction => `${a}.${b}`),
          reason: anything,
          actor: fc.option(anything, { nil: undefined }),
          target: fc.option(fc.record({ type: anything, id: anything }), { nil: undefined }),
          handler: anything,
          detail: fc.dictionary(anything, fact, { maxKeys: 40 }),
        }),
        (changes) => {
          const { actor, target, ...rest } = changes;
          const written = encodeEntry(
            publishedEvent({ ...rest, ...(actor && { actor }), ...(target && { target }) }),
            () => true,
          );
          expect(written.length).toBeGreaterThan(2);
          expect(written.length).toBeLessThan(65_536);
          expect(written.toString('latin1')).toMatch(/^[\x20-\x7e]+$/);
          expect(() => JSON.parse(written.toString()) as unknown).not.toThrow();
        },
      ),
      { numRuns: 200 },
    );
  });

  test('of several occurrences says how many there were, and from when to when', () => {
    const repetition = { count: 4711, startMs: AT_MS, endMs: AT_MS + 9000 };
    expect(JSON.parse(encodeEntry(publishedEvent(), isPublic, repetition).toString())).toMatchObject({
      count: 4711,
      start_time: AT_MS,
      end_time: AT_MS + 9000,
    });
  });
});
