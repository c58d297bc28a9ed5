import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { SecurityEvents } from '../../../src/core/security-events.js';
import { KEYS_TRUSTED_MS } from '../../../src/sessions/signing-keys/signing-key.schedule.js';
import { SigningKeyStore } from '../../../src/sessions/signing-keys/signing-key.store.js';
import { SigningKeys } from '../../../src/sessions/signing-keys/signing-keys.js';
import { SessionsSettings } from '../../../src/sessions/sessions.settings.js';
import { forge, takeApart, type Started } from '../sessions-application.js';
import { acceptedFor, KeysDatabase, publishedBy, SCHEDULE } from './signing-keys.database.js';

let house: KeysDatabase;
beforeEach(async () => {
  house = await KeysDatabase.open();
});
afterEach(() => house.close());

const keysOf = (each: Started): SigningKeys => each.app.get(SigningKeys);
const kidOf = (token: string): unknown => takeApart(token).header['kid'];
const kidsOf = async (each: Started): Promise<unknown[]> => (await publishedBy(each)).map(({ kid }) => kid);

/** A machine that is too busy to ask in time says that it cannot tell (503): neither accepted nor refused. */
async function whenJudged<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      if (code !== 'temporarily-unavailable' && !message.startsWith('timeout exceeded')) throw error;
    }
  }
}

async function statusOf(each: Started, token: string): Promise<number> {
  for (;;) {
    const { status } = await each.ask(token);
    if (status !== 503) return status;
  }
}

describe('Rotation by the schedule', () => {
  test('JWT-22 fifty clients of two instances see no refusal while a key follows another, which then is refused on both', async () => {
    const [one, two] = [await house.start(), await house.start()];
    const both = [one, two] as const;
    const old = await one.open();
    const { kid: first, privateKey } = await one.key();
    let running = true;
    let served = 0;
    const refusals: unknown[] = [];
    const usedKids = new Set<unknown>();
    const clients = Array.from({ length: 50 }, async (_, at) => {
      for (let round = at; running; round += 1) {
        const opened = await whenJudged(() => both[round % 2]!.open());
        usedKids.add(kidOf(opened.accessToken));
        for (let call = 0; call < 10; call += 1) {
          // As people do; without it this would measure how much the machine can bear.
          await setTimeout(20);
          const status = await statusOf(both[(round + call) % 2]!, opened.accessToken);
          if (status === 200) served += 1;
          else refusals.push([status, kidOf(opened.accessToken)]);
        }
      }
    });

    let second: string;
    try {
      second = await house.rotate(two);
      // Both come to know it without being told.
      await vi.waitFor(async () => {
        for (const each of both) expect((await each.key()).kid).toBe(second);
      }, 10_000);
      expect(await house.states()).toEqual({ [first]: 'retired', [second]: 'active' });
      for (const each of both) {
        expect(await statusOf(each, old.accessToken)).toBe(200);
      }
      const sofar = served;
      await vi.waitFor(() => {
        expect(served).toBeGreaterThan(sofar + 500);
        expect(usedKids.size).toBe(2);
      }, 30_000);
    } finally {
      running = false;
      await Promise.all(clients);
    }
    expect(refusals).toEqual([]);
    for (const each of both) {
      await keysOf(each).reload();
      expect(new Set(await kidsOf(each))).toEqual(new Set([first, second]));
    }
    expect(usedKids).toEqual(new Set([first, second]));

    // The last token of the old key has ended, by the clock of the database. One that nobody has seen yet, and that
    // has not ended, is from somebody who has got hold of the key since.
    const { header, claims } = takeApart(old.accessToken);
    const unseen = (): string => forge(header, { ...claims, jti: randomUUID() }, privateKey);
    for (const each of both) expect(await statusOf(each, unseen())).toBe(200);
    await house.age(first, SCHEDULE.acceptanceSeconds);
    const endedAt = performance.now();
    const accepted = await Promise.all(both.map((each) => acceptedFor(each, unseen, endedAt)));
    for (const each of accepted) expect(each).toBeLessThan(KEYS_TRUSTED_MS);
    for (const each of both) {
      await keysOf(each).reload();
      expect(await kidsOf(each)).toEqual([second]);
      expect((await each.ask((await each.open()).accessToken)).status).toBe(200);
    }
  }, 60_000);

  test('JWT-22 a key is published before it signs, and signs only when it has been published long enough', async () => {
    const [one, two] = [await house.start(), await house.start()];
    const first = (await one.key()).kid;
    expect(await keysOf(one).rotateIfDue()).toBe(false);
    await house.age(first, SCHEDULE.lifetimeSeconds - SCHEDULE.publicationSeconds);
    expect(await keysOf(one).rotateIfDue()).toBe(true);
    await keysOf(two).reload();
    const second = await house.next();

    for (const each of [one, two]) {
      expect(new Set(await kidsOf(each))).toEqual(new Set([first, second]));
      expect(kidOf((await each.open()).accessToken)).toBe(first);
    }
    await house.age(second, SCHEDULE.publicationSeconds - 5);
    expect(await keysOf(one).rotateIfDue()).toBe(false);
    expect((await one.key()).kid).toBe(first);
    await house.age(second, 5);
    expect(await keysOf(one).rotateIfDue()).toBe(true);
    expect((await one.key()).kid).toBe(second);
    expect(await house.events()).toEqual([
      ['key.created', first],
      ['key.created', second],
      ['key.retired', first],
      ['key.activated', second],
    ]);
  });

  test('of many replicas that look at the same moment, one does each step', async () => {
    const replicas = await Promise.all(Array.from({ length: 4 }, () => house.start()));
    const first = (await replicas[0]!.key()).kid;
    const look = async (): Promise<boolean[]> =>
      Promise.all(replicas.flatMap((each) => [keysOf(each).rotateIfDue(), keysOf(each).rotateIfDue()]));

    await house.age(first, SCHEDULE.lifetimeSeconds);
    expect((await look()).filter(Boolean)).toEqual([true]);
    const second = await house.next();
    await house.age(second, SCHEDULE.publicationSeconds);
    expect((await look()).filter(Boolean)).toEqual([true]);
    expect(await house.states()).toEqual({ [first]: 'retired', [second]: 'active' });
    expect((await house.events()).length).toBe(4);
  });

  test('a step whose event cannot be recorded does not happen', async () => {
    const started = await house.start();
    const first = (await started.key()).kid;
    await house.age(first, SCHEDULE.lifetimeSeconds);
    const end = started.app.get(SecurityEvents).subscribe(() => {
      throw new Error('nobody takes it down');
    });
    await expect(keysOf(started).rotateIfDue()).rejects.toThrow('nobody takes it down');
    expect(await house.states()).toEqual({ [first]: 'active' });
    end();
    expect(await keysOf(started).rotateIfDue()).toBe(true);
  });

  test('JWT-21 a key that was planted to follow never signs, and does not stand in the way', async () => {
    const started = await house.start();
    const first = (await started.key()).kid;
    await house.write(
      `INSERT INTO sessions.signing_key (kid, algorithm, public_jwk, private_sealed, state)
       SELECT repeat('A', 43), algorithm, public_jwk, private_sealed, 'next' FROM sessions.signing_key`,
    );
    await house.age('A'.repeat(43), SCHEDULE.publicationSeconds);
    expect(await keysOf(started).rotateIfDue()).toBe(true);
    expect(await house.states()).toEqual({ [first]: 'active', ['A'.repeat(43)]: 'retired' });
    await house.rotate(started);
    expect((await started.key()).kid).not.toBe('A'.repeat(43));
  });

  test('what does not open is reported once, however often the keys are read', async () => {
    const started = await house.start();
    await house.write(
      `INSERT INTO sessions.signing_key (kid, algorithm, public_jwk, private_sealed, state)
       SELECT repeat('A', 43), algorithm, public_jwk, private_sealed, 'next' FROM sessions.signing_key`,
    );
    for (let reading = 0; reading < 5; reading += 1) await keysOf(started).reload();
    expect(started.events.filter(({ action }) => action === 'encryption.integrity-failed').length).toBe(1);
  });

  test.each(['PS256', 'RS256'] as const)(
    'the algorithm %s, once configured, is rotated to; tokens of both are accepted, each by the algorithm of its key',
    async (signingAlgorithm) => {
      const [one, two] = [await house.start(), await house.start()];
      const first = (await one.key()).kid;
      const { accessToken: old } = await one.open();
      for (const each of [one, two]) Object.assign(each.app.get(SessionsSettings), { signingAlgorithm });

      expect(await keysOf(one).rotateIfDue()).toBe(true);
      const next = (await house.rows()).find(({ state }) => state === 'next')!;
      expect(next.algorithm).toBe(signingAlgorithm);
      await house.age(next.kid, SCHEDULE.publicationSeconds);
      expect(await keysOf(one).rotateIfDue()).toBe(true);
      await keysOf(two).reload();

      const { accessToken } = await one.open();
      expect(takeApart(accessToken).header).toEqual({ alg: signingAlgorithm, typ: 'at+jwt', kid: next.kid });
      for (const each of [one, two]) {
        expect((await each.ask(accessToken)).status).toBe(200);
        expect((await each.ask(old)).status).toBe(200);
        expect(await keysOf(each).rotateIfDue()).toBe(false);
      }
      // One algorithm is not another one, although the same key could do both.
      const { header, parts } = takeApart(accessToken);
      for (const alg of ['RS256', 'PS256', 'RS384', 'ES256', 'HS256'].filter(
        (each) => each !== signingAlgorithm,
      )) {
        const renamed = Buffer.from(JSON.stringify({ ...header, alg })).toString('base64url');
        expect((await two.ask(`${renamed}.${parts[1]}.${parts[2]}`)).status).toBe(401);
      }
      const jwk = (await publishedBy(two)).find(({ kid }) => kid === next.kid);
      expect(Object.keys(jwk!).sort()).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use']);
      expect(await house.states()).toEqual({ [first]: 'retired', [next.kid]: 'active' });
    },
  );

  test('a process whose rotation is manual reads the keys and changes none', async () => {
    const started = await house.start();
    const first = (await started.key()).kid;
    Object.assign(started.app.get(SessionsSettings), { signingKeyRotation: 'manual' });
    await house.age(first, SCHEDULE.lifetimeSeconds);
    const later = performance.now() + 3_600_000;
    const monotonic = vi.spyOn(performance, 'now').mockImplementation(() => later);
    const read = vi.spyOn(started.app.get(SigningKeyStore), 'usable');
    await vi.waitFor(() => {
      expect(read.mock.calls.length).toBeGreaterThan(3);
    }, 10_000);
    monotonic.mockRestore();
    expect(await house.states()).toEqual({ [first]: 'active' });
  });

  test('nobody has to ask: a replica looks by itself', async () => {
    const started = await house.start();
    const first = (await started.key()).kid;
    await house.age(first, SCHEDULE.lifetimeSeconds);
    const later = performance.now() + 3_600_000;
    const monotonic = vi.spyOn(performance, 'now').mockImplementation(() => later);
    await vi.waitFor(async () => {
      expect(Object.values(await house.states())).toEqual(['active', 'next']);
    }, 5000);
    monotonic.mockRestore();
  });

  test('its timer keeps no process alive, and ends with the application', async () => {
    const timers = vi.spyOn(globalThis, 'setInterval');
    const cleared = vi.spyOn(globalThis, 'clearInterval');
    const started = await house.start();
    const own = timers.mock.calls.findIndex(([, everyMs]) => everyMs === 500);
    const timer = timers.mock.results[own]!.value as NodeJS.Timeout;
    expect(timer.hasRef()).toBe(false);
    await started.app.close();
    expect(cleared.mock.calls.map(([each]) => each)).toContain(timer);
    timers.mockRestore();
    cleared.mockRestore();
  });
});
