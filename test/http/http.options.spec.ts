import { describe, expect, test } from 'vitest';
import { resolveHttpOptions } from '../../src/http/http.options.js';

const resolve = (options: object, production = true): unknown => resolveHttpOptions(options, production);

describe('the options of the edge', () => {
  test('nothing given is the strict choice', () => {
    expect(resolve({})).toEqual({
      corsOrigins: [],
      trustedProxies: [],
      allowedHosts: [],
      bodyLimitBytes: 102_400,
      bodyDepth: 16,
      maxHeaderFields: 100,
      headersTimeoutMs: 10_000,
      requestTimeoutMs: 30_000,
      keepAliveTimeoutMs: 5_000,
      requestLog: true,
    });
  });

  test('an option that is undefined is one that was left out', () => {
    expect(resolve({ bodyLimitBytes: undefined, corsOrigins: undefined })).toEqual(resolve({}));
  });

  test.each([
    ['bodyLimitBytes', '100kb'],
    ['bodyLimitBytes', '100kbb'],
    ['bodyLimitBytes', 0],
    ['bodyLimitBytes', -1],
    ['bodyLimitBytes', Number.NaN],
    ['bodyLimitBytes', Number.POSITIVE_INFINITY],
    ['bodyLimitBytes', null],
    ['bodyLimitBytes', '102400'],
    ['bodyLimitBytes', 1.5],
    ['bodyLimitBytes', 104_857_601],
    ['bodyDepth', 0],
    ['bodyDepth', 65],
    ['maxHeaderFields', 9],
    ['headersTimeoutMs', 0],
    ['requestTimeoutMs', 0],
    ['keepAliveTimeoutMs', '5s'],
  ])('VAL-24 %s: %j is refused, and names its range', (name, value) => {
    expect(() => resolve({ [name]: value })).toThrow(
      new RegExp(`HttpModule refuses to start:\\n {2}- ${name} must be a whole number from \\d+ to \\d+`),
    );
  });

  test('VAL-24 a misspelt option is refused: a limit that nobody reads must not become none', () => {
    expect(() => resolve({ bodyLimit: 1 })).toThrow('unknown option "bodyLimit"');
  });

  test('every fault is named at once', () => {
    expect(() => resolve({ bodyDepth: 0, maxHeaderFields: 0, corsOrigins: ['*'] })).toThrow(
      /bodyDepth[^]*maxHeaderFields[^]*corsOrigins/,
    );
  });

  test.each([
    ['0.0.0.0/0', 'trusts far too many addresses'],
    ['::/0', 'trusts far too many addresses'],
    ['10.0.0.0/33', 'has a prefix length that is none'],
    ['10.0.0.0/8/8', 'is neither an address nor a network'],
    ['10.0.0.0/x', 'has a prefix length that is none'],
    ['10.0.0.0/', 'has a prefix length that is none'],
    ['proxy.internal', 'is neither an address nor a network'],
    ['loopback', 'is neither an address nor a network'],
    ['*', 'is neither an address nor a network'],
    ['', 'is neither an address nor a network'],
    [true, 'must be text'],
    [1, 'must be text'],
  ])('%j is no trusted proxy', (network, says) => {
    expect(() => resolve({ trustedProxies: [network] })).toThrow(says);
  });

  test.each([
    ['true', true],
    ['a hop count', 1],
    ['a text', '10.0.0.1'],
    ['a function', () => true],
  ])('trustedProxies as %s, which would trust anybody, is refused', (_, value) => {
    expect(() => resolve({ trustedProxies: value })).toThrow('trustedProxies must be a list');
  });

  test.each([
    'https://portal.example.test',
    'portal.example.test/',
    'Portal.example.test',
    '*.example.test',
    '',
  ])('%j is no host as Host names it', (host) => {
    expect(() => resolve({ allowedHosts: [host] })).toThrow('is not a host as Host names it');
  });

  test('an origin without TLS is refused in production, except on loopback', () => {
    expect(() => resolve({ corsOrigins: ['http://app.example.test'] })).toThrow(
      'is not encrypted: use https://',
    );
    expect(() => resolve({ corsOrigins: ['http://localhost.example.test'] })).toThrow('is not encrypted');
    for (const origin of ['http://localhost:8080', 'http://127.0.0.1:8080', 'http://[::1]:8080']) {
      expect(resolve({ corsOrigins: [origin] })).toMatchObject({ corsOrigins: [origin] });
    }
    expect(resolve({ corsOrigins: ['http://app.example.test'] }, false)).toMatchObject({});
  });
});
