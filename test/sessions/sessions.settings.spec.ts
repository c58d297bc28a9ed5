import { afterEach, describe, expect, test } from 'vitest';
import { BootError } from '../../src/core/zero-trust-error.js';
import type { SessionsOptions } from '../../src/sessions/sessions.options.js';
import { SessionsSettings } from '../../src/sessions/sessions.settings.js';

const good: SessionsOptions = {
  issuer: 'https://portal.example.com',
  audience: 'https://portal.example.com',
};
const environment = process.env['NODE_ENV'];
afterEach(() => {
  process.env['NODE_ENV'] = environment;
});

function faultsOf(options: object, nodeEnv = 'production'): readonly string[] {
  if (nodeEnv === 'unset') delete process.env['NODE_ENV'];
  else process.env['NODE_ENV'] = nodeEnv;
  try {
    new SessionsSettings({ ...good, ...options });
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(BootError);
    return (error as BootError).faults;
  }
}

describe('The options of SessionsModule', () => {
  test('what is left out is the strict choice', () => {
    expect(new SessionsSettings(good)).toEqual({
      ...good,
      accessTokenTtlSeconds: 900,
      clockToleranceSeconds: 5,
      absoluteLifetimeSeconds: 43_200,
      idleLifetimeSeconds: 1_800,
      refreshRetrySeconds: 10,
      maxSessionsPerSubject: 20,
      rememberedTokens: 10_000,
      cookies: true,
      clientDetails: 'device',
      freshness: 'feed',
    });
  });

  test('JWT-14 no option makes an access token live for more than 15 minutes', () => {
    expect(faultsOf({ accessTokenTtlSeconds: 900 })).toEqual([]);
    expect(faultsOf({ accessTokenTtlSeconds: 901 })).toEqual([
      'accessTokenTtlSeconds: must be a whole number from 60 to 900; leave it out for 900.',
    ]);
  });

  test('JWT-12 no option lets clocks differ by more than 60 seconds', () => {
    expect(faultsOf({ clockToleranceSeconds: 60 })).toEqual([]);
    expect(faultsOf({ clockToleranceSeconds: 61 })).toMatchObject([/^clockToleranceSeconds:/]);
  });

  test.each([
    ['accessTokenTtlSeconds', [0, -1, 59, 60.5, Number.NaN, Infinity, '300', null]],
    ['clockToleranceSeconds', [-1, 0.5, '5']],
    ['absoluteLifetimeSeconds', [0, 59, 2_592_001, '1']],
  ])('%s is a whole number within its range', (name, values) => {
    for (const value of values.filter((each) => each !== null)) {
      expect(faultsOf({ [name]: value }).some((fault) => fault.startsWith(`${name}: must be`))).toBe(true);
    }
  });

  test('a session outlives its first token', () => {
    expect(faultsOf({ absoluteLifetimeSeconds: 600 })).toEqual([
      'absoluteLifetimeSeconds: is shorter than accessTokenTtlSeconds; raise it.',
    ]);
    expect(faultsOf({ absoluteLifetimeSeconds: 600, accessTokenTtlSeconds: 600 })).toEqual([]);
  });

  test('an issuer is a URL, https in production beyond loopback', () => {
    for (const issuer of [
      undefined,
      '',
      'portal',
      'ftp://x',
      'https://a@b',
      'https://x?q',
      'https://x#f',
      'https://x y',
      1,
    ]) {
      expect(faultsOf({ issuer }).some((fault) => fault.startsWith('issuer: '))).toBe(true);
    }
    expect(faultsOf({ issuer: 'http://portal.example.com' })).toEqual([
      'issuer: is not https, which production demands beyond loopback.',
    ]);
    expect(faultsOf({ issuer: 'http://portal.example.com' }, 'unset').length).toBe(1);
    expect(faultsOf({ issuer: 'http://portal.example.com' }, 'development')).toEqual([]);
    for (const issuer of ['http://127.0.0.1:3000', 'http://localhost:3000', 'http://[::1]:3000']) {
      expect(faultsOf({ issuer })).toEqual([]);
    }
    for (const issuer of [
      'http://127.0.0.1.example.com',
      'http://localhost.example.com',
      'http://1270.0.0.1x',
    ]) {
      expect(faultsOf({ issuer }).length).toBe(1);
    }
  });

  test('an audience is one name, and a missing one is said in so many words', () => {
    for (const audience of [undefined, '', 'a b', 'ü', ['https://a', 'https://b'], 'x'.repeat(256)]) {
      expect(faultsOf({ audience }).some((fault) => fault.startsWith('audience: '))).toBe(true);
    }
    expect(faultsOf({ audience: 'urn:portal' })).toEqual([]);
  });

  test('an option that nobody knows is a fault, and all faults are told at once', () => {
    expect(
      faultsOf({ accessTokenTtl: 5, issuer: '', audience: '' }).map((fault) => fault.split(':')[0]),
    ).toEqual([...['accessTokenTtl', 'issuer', 'audience']]);
  });
});
