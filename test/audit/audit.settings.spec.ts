import { afterEach, describe, expect, test } from 'vitest';
import type { AuditOptions } from '../../src/audit/audit.options.js';
import { AuditSettings } from '../../src/audit/audit.settings.js';
import { BootError } from '../../src/core/zero-trust-error.js';

const LOCAL = 'postgres://audit:s3cret@127.0.0.1/app';
const environment = process.env.NODE_ENV;
afterEach(() => {
  process.env.NODE_ENV = environment;
});

function faultsOf(options: Partial<AuditOptions>): readonly string[] {
  try {
    new AuditSettings({ readerUrl: LOCAL, ...options });
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(BootError);
    return (error as BootError).faults;
  }
}

describe('the options of AuditModule', () => {
  test('that are left out are the strict choice', () => {
    expect(new AuditSettings({ readerUrl: LOCAL })).toMatchObject({
      readerPoolSize: 2,
      readTimeoutMs: 5000,
      scanLimit: 10_000,
      refusalWindowSeconds: 10,
      wholeRefusalsPerWindow: 5,
      maxDifferentRefusals: 1000,
      reader: { ssl: false },
    });
  });

  test.each<[keyof AuditOptions, unknown]>([
    ['readerPoolSize', 0],
    ['readTimeoutMs', 1.5],
    ['scanLimit', Number.NaN],
    ['refusalWindowSeconds', '10'],
    ['wholeRefusalsPerWindow', 0],
    ['maxDifferentRefusals', Infinity],
  ])('%s: %s is refused, with its range', (name, value) => {
    expect(faultsOf({ [name]: value })).toEqual([
      expect.stringMatching(new RegExp(`^${name}: must be a whole number from \\d+ to \\d+`)),
    ]);
  });

  test.each<[unknown, RegExp]>([
    [undefined, /^readerUrl: is missing; give the audit login/],
    ['', /^readerUrl: is missing/],
    ['mysql://a:s3cret@127.0.0.1/app', /^readerUrl: must begin with postgres/],
    [
      'postgres://a:s3cret@db.example.test/app?sslmode=require',
      /^readerUrl: has an sslmode that does not verify/,
    ],
  ])('readerUrl %s is refused without repeating it', (readerUrl, fault) => {
    const faults = faultsOf({ readerUrl: readerUrl as string });
    expect(faults).toEqual([expect.stringMatching(fault)]);
    expect(faults.join()).not.toContain('s3cret');
  });

  test('the log is not read in the clear beyond this machine, unless somebody says so and it is not production', () => {
    const far = 'postgres://audit:s3cret@db.example.test/app';
    expect(new AuditSettings({ readerUrl: far }).reader.ssl).toMatchObject({ rejectUnauthorized: true });
    delete process.env.NODE_ENV;
    expect(faultsOf({ readerUrl: far, tls: 'off' })).toEqual([expect.stringMatching(/production refuses/)]);
  });
});
