import { hash as argon2, verify as argon2Verify } from '@node-rs/argon2';
import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { SystemClock } from '../../../src/core/clock.js';
import { KeyRing } from '../../../src/encryption/key-ring.js';
import { generateMasterKey } from '../../../src/encryption/master-key.js';
import { resolveIdentityOptions, type IdentityOptions } from '../../../src/identity/identity.options.js';
import { PasswordHasher } from '../../../src/identity/passwords/password.hasher.js';
import { parametersOf, unmatchableHash } from '../../../src/identity/passwords/phc-string.js';
import { CountingEngine } from './counting.engine.js';

const masterKey = generateMasterKey();
let engine: CountingEngine;

/** Secrets are derived without any store. */
function hasherWith(options: IdentityOptions = {}, key = masterKey): PasswordHasher {
  const ring = new KeyRing({ masterKey: key }, undefined as never, new SystemClock());
  return new PasswordHasher(ring, engine, resolveIdentityOptions(options));
}

beforeEach(() => (engine = new CountingEngine()));

describe('a password hash', () => {
  test('is Argon2id with the parameters of the options, salted, and fits its password alone', async () => {
    const hasher = hasherWith();
    const [one, two] = [await hasher.hash('a', 'tea house rain'), await hasher.hash('a', 'tea house rain')];
    expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(one).not.toBe(two);
    const stored = { id: 'a', passwordHash: one };
    expect(await hasher.verify(stored, 'tea house rain')).toEqual({
      matches: true,
      outdated: false,
      foreign: false,
    });
    expect(await hasher.verify(stored, 'tea house rain ')).toMatchObject({ matches: false });
  });

  test('is peppered: without the master key it fits nothing, nor under another one', async () => {
    const passwordHash = await hasherWith().hash('a', 'tea house rain');
    expect(await argon2Verify(passwordHash, 'tea house rain')).toBe(false);
    const elsewhere = hasherWith({}, generateMasterKey());
    expect(await elsewhere.verify({ id: 'a', passwordHash }, 'tea house rain')).toMatchObject({
      matches: false,
    });
  });

  test('copied into the row of another account it fits nothing', async () => {
    const hasher = hasherWith();
    const passwordHash = await hasher.hash('mallory', 'tea house rain');
    expect(await hasher.verify({ id: 'mallory', passwordHash }, 'tea house rain')).toMatchObject({
      matches: true,
    });
    expect(await hasher.verify({ id: 'alice', passwordHash }, 'tea house rain')).toMatchObject({
      matches: false,
    });
  });

  test('PWD-05 PWD-10 counts every byte as it was received: case, tail, spaces, NUL and normal form', async () => {
    const hasher = hasherWith();
    const verifies = async (set: string, presented: string): Promise<boolean> =>
      (await hasher.verify({ id: 'a', passwordHash: await hasher.hash('a', set) }, presented)).matches;
    const long = 'x'.repeat(80);
    expect(await verifies(long, `${'x'.repeat(72)}${'y'.repeat(8)}`)).toBe(false);
    expect(await verifies('é'.repeat(40), `${'é'.repeat(36)}aaaa`)).toBe(false);
    expect(await verifies('é'.repeat(20), 'e\u0301'.repeat(20))).toBe(false);
    expect(await verifies('Tea House Rain', 'tea house rain')).toBe(false);
    expect(await verifies(' tea house rain', 'tea house rain')).toBe(false);
    expect(await verifies('tea\0house', 'tea\0castle')).toBe(false);
    expect(await verifies('🐈'.repeat(256), '🐈'.repeat(256))).toBe(true);
  });

  test('PWD-02 with and without an account exactly one hash of equal parameters is computed', async () => {
    const hasher = hasherWith();
    const passwordHash = await hasher.hash('a', 'tea house rain');
    await hasher.verify({ id: 'a', passwordHash }, 'wrong');
    await hasher.verify(undefined, 'wrong');
    expect(engine.verified.map(parametersOf)).toEqual([
      parametersOf(passwordHash),
      parametersOf(passwordHash),
    ]);
    expect(engine.verified[1]).not.toBe(passwordHash);
  });

  test('no password fits the dummy, whatever it is', async () => {
    expect(await hasherWith().verify(undefined, '')).toEqual({
      matches: false,
      outdated: false,
      foreign: false,
    });
  });

  test('PWD-28 a stored hash that asks for gigabytes or that nobody here wrote is never computed', async () => {
    const hasher = hasherWith();
    const bytes = [randomBytes(16), randomBytes(32)] as const;
    const hostile = [
      unmatchableHash({ memoryKib: 4_194_304, iterations: 100, parallelism: 1 }, ...bytes),
      unmatchableHash({ memoryKib: 65_537, iterations: 2, parallelism: 1 }, ...bytes),
      unmatchableHash({ memoryKib: 19_456, iterations: 11, parallelism: 1 }, ...bytes),
      unmatchableHash({ memoryKib: 19_456, iterations: 2, parallelism: 5 }, ...bytes),
      (await argon2('tea house rain')).replace('argon2id', 'argon2i'),
      '',
    ];
    for (const passwordHash of hostile) {
      expect(await hasher.verify({ id: 'a', passwordHash }, 'tea house rain')).toEqual({
        matches: false,
        outdated: false,
        foreign: true,
      });
    }
    expect(engine.verified.map((phc) => parametersOf(phc)?.memoryKib)).toEqual(hostile.map(() => 19_456));
    expect(engine.verified.filter((phc) => hostile.includes(phc))).toEqual([]);
  });

  test('PWD-29 one with older parameters still fits, and says that it is outdated', async () => {
    const passwordHash = await hasherWith().hash('a', 'tea house rain');
    const stricter = hasherWith({ argonIterations: 3 });
    expect(await stricter.verify({ id: 'a', passwordHash }, 'tea house rain')).toEqual({
      matches: true,
      outdated: true,
      foreign: false,
    });
  });

  test('PWD-26 a flood computes no more at once than it may, and is refused beyond the queue', async () => {
    const hasher = hasherWith({ hashConcurrency: 2, hashQueueLimit: 4 });
    const flood = await Promise.allSettled(
      Array.from({ length: 50 }, (_, at) => hasher.verify(undefined, `guess ${at}`)),
    );
    expect(flood.filter(({ status }) => status === 'fulfilled')).toHaveLength(6);
    expect(engine.mostAtOnce).toBe(2);
    for (const each of flood) {
      if (each.status === 'rejected')
        expect(each.reason).toMatchObject({ status: 503, headers: { 'Retry-After': '2' } });
    }
  });
});
