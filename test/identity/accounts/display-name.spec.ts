import { expect, test } from 'vitest';
import { parseDisplayName } from '../../../src/identity/accounts/display-name.js';

test('names of people everywhere are names', () => {
  for (const name of [
    'Alice',
    "Miles O'Brien",
    'José Núñez',
    '山田 太郎',
    'مريم',
    'Zoë 👩‍👩‍👧',
    'x'.repeat(100),
  ]) {
    expect(parseDisplayName(name)).toBe(name.normalize('NFC'));
  }
});

test('two spellings of one name are one', () => {
  expect(parseDisplayName('Zoe\u0308')).toBe('Zo\u00EB');
});

test('VAL-18 a name with line ends, controls or direction marks is refused, as an empty or padded one is', () => {
  for (const name of [
    '',
    ' ',
    ' a',
    'a ',
    'a\r\nBcc: x@y',
    'a\nb',
    'a\0b',
    'a\u2028b',
    'a\u202Eb',
    'a\uD800',
    'x'.repeat(101),
  ]) {
    expect(parseDisplayName(name)).toBeUndefined();
  }
});
