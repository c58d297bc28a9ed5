import fc from 'fast-check';
import { createSecretKey, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { DEFAULT_TENANT, addressOf, type Cell } from '../../src/encryption/cell.js';
import {
  ENVELOPE_OVERHEAD_BYTES,
  openEnvelope,
  sealEnvelope,
  shortIdOf,
  type EnvelopeKey,
} from '../../src/encryption/envelope.js';
import { makeWrappedKey, openWrappedKey, type KeyIdentity } from '../../src/encryption/wrapped-key.js';
import { XaesKey } from '../../src/encryption/xaes.js';

const newKey = (shortId: number): EnvelopeKey => ({
  shortId,
  xaes: new XaesKey(createSecretKey(randomBytes(32))),
});
const key = newKey(0x01020304);
const cell: Cell = { table: 'crm.customer', column: 'email', row: '0197a2b4-0000-7000-8000-00000000000a' };
const address = addressOf(DEFAULT_TENANT, cell);

const name = fc.stringMatching(/^[a-z_"A-Z0-9$ -]{1,12}$/);
const cells = fc.record({
  table: fc.tuple(name, name).map((parts) => parts.join('.')),
  column: name,
  row: fc.oneof(fc.uuid(), fc.stringMatching(/^[ -~]{1,20}$/)),
});
const contents = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));

describe('The envelope', () => {
  test('is version, short id, nonce, ciphertext and tag: 45 bytes more than its content', () => {
    const content = Buffer.from('a value');

    const envelope = sealEnvelope(key, address, content);

    expect(envelope.subarray(0, 5)).toEqual(Buffer.of(0x01, 0x01, 0x02, 0x03, 0x04));
    expect(envelope.length).toBe(content.length + 45);
    expect(ENVELOPE_OVERHEAD_BYTES).toBe(45);
    const additionalData = Buffer.concat([
      Buffer.from(`zt1\0crm.customer.email\0${DEFAULT_TENANT}\0${cell.row}\0`),
      Buffer.of(0x01, 0x02, 0x03, 0x04),
    ]);
    expect(key.xaes.open(envelope.subarray(5, 29), envelope.subarray(29), additionalData)).toEqual(content);
  });

  test('ENC-12 whatever was sealed opens to the same bytes in its own cell', () => {
    fc.assert(
      fc.property(cells, contents, (anyCell, content) => {
        const where = addressOf(DEFAULT_TENANT, anyCell);
        expect(openEnvelope(key, where, sealEnvelope(key, where, content))).toEqual(content);
      }),
    );
  });

  test('ENC-02 no mutation of any byte, no cut and no addition opens', () => {
    fc.assert(
      fc.property(
        contents,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        fc.uint8Array({ minLength: 1, maxLength: 40 }),
        (content, position, difference, extra) => {
          const envelope = sealEnvelope(key, address, content);
          const at = position % envelope.length;
          const flipped = Buffer.from(envelope);
          flipped[at] = flipped[at]! ^ difference;

          expect(openEnvelope(key, address, flipped)).toBeUndefined();
          expect(openEnvelope(key, address, envelope.subarray(0, at))).toBeUndefined();
          expect(openEnvelope(key, address, envelope.subarray(at + 1))).toBeUndefined();
          expect(openEnvelope(key, address, Buffer.concat([envelope, extra]))).toBeUndefined();
          expect(openEnvelope(key, address, Buffer.concat([extra, envelope]))).toBeUndefined();
        },
      ),
    );
  });

  test('an envelope opens in no other cell, for no other tenant and under no other key', () => {
    fc.assert(
      fc.property(cells, cells, contents, (from, to, content) => {
        const [source, target] = [addressOf(DEFAULT_TENANT, from), addressOf(DEFAULT_TENANT, to)];
        fc.pre(source !== target);
        const envelope = sealEnvelope(key, source, content);
        const foreign = addressOf('0197a2b4-0000-7000-8000-0000000000ff', from);

        expect(openEnvelope(key, target, envelope)).toBeUndefined();
        expect(openEnvelope(key, foreign, envelope)).toBeUndefined();
        expect(openEnvelope(newKey(key.shortId), source, envelope)).toBeUndefined();
        expect(openEnvelope({ ...key, shortId: 7 }, source, envelope)).toBeUndefined();
      }),
    );
  });

  test('only what is long enough and of version 1 names a key', () => {
    const envelope = sealEnvelope(key, address, Buffer.alloc(0));

    expect(shortIdOf(envelope)).toBe(0x01020304);
    expect(shortIdOf(envelope.subarray(0, 44))).toBeUndefined();
    expect(shortIdOf(Buffer.alloc(0))).toBeUndefined();
    for (const version of [0x00, 0x02, 0xff]) {
      expect(shortIdOf(Buffer.concat([Buffer.of(version), envelope.subarray(1)]))).toBeUndefined();
    }
  });
});

describe('The address of a cell', () => {
  test('tells every two cells apart', () => {
    fc.assert(
      fc.property(cells, cells, (left, right) => {
        const same =
          left.table === right.table &&
          left.column === right.column &&
          (left.row === right.row || left.row.toLowerCase() === right.row.toLowerCase());
        fc.pre(!same);
        expect(addressOf(DEFAULT_TENANT, left)).not.toBe(addressOf(DEFAULT_TENANT, right));
      }),
    );
  });

  test('is the same for a UUID in either case, and not for other keys', () => {
    const upper = { ...cell, row: cell.row.toUpperCase() };

    expect(addressOf(DEFAULT_TENANT, upper)).toBe(address);
    expect(addressOf(DEFAULT_TENANT, { ...cell, row: 'A' })).not.toBe(
      addressOf(DEFAULT_TENANT, { ...cell, row: 'a' }),
    );
  });

  test.each([
    { ...cell, table: 'customer' },
    { ...cell, table: 'a.b.c' },
    { ...cell, table: 'crm.cust\0omer' },
    { ...cell, table: '' },
    { ...cell, column: 'a.b' },
    { ...cell, column: '' },
    { ...cell, column: 'e\0mail' },
    { ...cell, row: '' },
    { ...cell, row: 'a\0b' },
    { ...cell, row: '\ud800' },
  ])('a cell that cannot be named without doubt is a mistake of the programmer: %j', (misnamed) => {
    expect(() => addressOf(DEFAULT_TENANT, misnamed)).toThrow(TypeError);
  });
});

describe('A wrapped key', () => {
  const kek = new XaesKey(createSecretKey(randomBytes(32)));
  const identity: KeyIdentity = {
    keyId: '0197a2b4-0000-7000-8000-000000000001',
    tenantId: DEFAULT_TENANT,
    scope: 'table',
    scopeId: 'crm.customer',
    version: 1,
    shortId: 9,
    kekId: '0197a2b4-0000-7000-8000-000000000002',
  };

  test('opens to the key that was made, in 73 bytes', () => {
    const wrapped = makeWrappedKey(kek, identity);
    const nonce = randomBytes(24);

    expect(wrapped.length).toBe(73);
    const [first, second] = [
      openWrappedKey(kek, identity, wrapped)!,
      openWrappedKey(kek, identity, wrapped)!,
    ];
    const sealed = first.seal(nonce, Buffer.from('value'), Buffer.alloc(0));
    expect(second.open(nonce, sealed, Buffer.alloc(0))).toEqual(Buffer.from('value'));
  });

  test.each([
    { keyId: '0197a2b4-0000-7000-8000-000000000003' },
    { tenantId: '0197a2b4-0000-7000-8000-000000000004' },
    { scope: 'tenant' as const },
    { scopeId: 'crm.order' },
    { version: 2 },
    { shortId: 10 },
    { kekId: '0197a2b4-0000-7000-8000-000000000005' },
  ])('does not open as %j', (change) => {
    const wrapped = makeWrappedKey(kek, identity);

    expect(openWrappedKey(kek, { ...identity, ...change }, wrapped)).toBeUndefined();
  });

  test('does not open when a byte was changed, nor under another key', () => {
    const wrapped = makeWrappedKey(kek, identity);
    for (let at = 0; at < wrapped.length; at++) {
      const altered = Buffer.from(wrapped);
      altered[at] = altered[at]! ^ 1;
      expect(openWrappedKey(kek, identity, altered), `byte ${at}`).toBeUndefined();
    }
    expect(openWrappedKey(newKey(1).xaes, identity, wrapped)).toBeUndefined();
    expect(openWrappedKey(kek, identity, Buffer.alloc(0))).toBeUndefined();
  });
});
