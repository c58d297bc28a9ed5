import { describe, expect, test } from 'vitest';
import { QueryFailedError } from 'typeorm';
import { databaseErrorLine, isDatabaseUnavailable } from '../../src/database/database.errors.js';
import { scramVerifier } from '../../src/database/scram-verifier.js';

const coded = (code: string, more: object = {}): Error => Object.assign(new Error('x'), { code, ...more });

describe('isDatabaseUnavailable', () => {
  test.each([
    '08000',
    '08001',
    '08006',
    '53100',
    '53200',
    '53300',
    '53400',
    '57P01',
    '57P02',
    '57P03',
    '57P05',
    '57014',
    '25P03',
    '25P04',
    '25006',
    '28P01',
    'ECONNREFUSED',
    'ECONNRESET',
    'EPIPE',
    'ETIMEDOUT',
    'EHOSTUNREACH',
    'ENETUNREACH',
    'ENOTFOUND',
    'EAI_AGAIN',
  ])('is true for %s, also inside of other errors', (code) => {
    const error = coded(code);
    expect(isDatabaseUnavailable(error)).toBe(true);
    expect(isDatabaseUnavailable(new QueryFailedError('SELECT', [], error))).toBe(true);
    expect(isDatabaseUnavailable(new Error('outer', { cause: new Error('inner', { cause: error }) }))).toBe(
      true,
    );
    expect(isDatabaseUnavailable(new AggregateError([new Error('a'), error]))).toBe(true);
  });

  test.each([
    'Connection terminated unexpectedly',
    'Connection terminated',
    'timeout exceeded when trying to connect',
    'Query read timeout',
    'Client has encountered a connection error and is not queryable',
    'Connection terminated due to connection timeout',
  ])('is true for what pg says without a code: %s', (message) => {
    expect(isDatabaseUnavailable(new Error(message))).toBe(true);
  });

  test.each([
    '23505',
    '23503',
    '42501',
    '42601',
    '22P02',
    '40001',
    '40P01',
    '25P02',
    '55P03',
    '57000',
    'ENOENT',
    'ERR_INVALID_ARG_TYPE',
  ])('is false for %s: the database has answered', (code) => {
    expect(isDatabaseUnavailable(coded(code))).toBe(false);
  });

  test('tells a Unix socket that is gone from a file that is not there', () => {
    expect(isDatabaseUnavailable(coded('ENOENT', { syscall: 'connect' }))).toBe(true);
    expect(isDatabaseUnavailable(coded('ENOENT', { syscall: 'open' }))).toBe(false);
  });

  test('ends on circles, and is false for what is no error', () => {
    const circle = new Error('a');
    circle.cause = new Error('b', { cause: circle });
    for (const each of [circle, undefined, null, 'ECONNREFUSED', { code: 'ECONNREFUSED' }])
      expect(isDatabaseUnavailable(each)).toBe(false);
  });
});

test('an error becomes one line, with its code and without the statement', () => {
  expect(databaseErrorLine(new QueryFailedError('SELECT secret', ['secret'], coded('42501')))).toBe(
    'x (42501)',
  );
  expect(databaseErrorLine(new AggregateError([coded('ECONNREFUSED')]))).toBe('x (ECONNREFUSED)');
  expect(databaseErrorLine(new Error('one\ntwo'))).toBe('one');
  expect(databaseErrorLine('text')).toBe('unknown error');
});

describe('a SCRAM verifier', () => {
  test('is that of RFC 7677 (the example of section 3: user, pencil)', async () => {
    const verifier = await scramVerifier('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'));
    // StoredKey and ServerKey derived from the RFC's salt and count; its signatures verify with them.
    expect(verifier).toBe(
      'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
    );
  });

  test('salts every time', async () => {
    expect(await scramVerifier('same')).not.toBe(await scramVerifier('same'));
  });
});
