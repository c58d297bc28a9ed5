import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { requestIdOf } from '../../src/http/request-id.js';

const request = (): IncomingMessage => new IncomingMessage(new Socket());

/** RFC 9562 5.4, in lower case. */
const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe('ids of requests', () => {
  test('are random UUIDs, each one other, over many batches', () => {
    const ids = Array.from({ length: 5_000 }, () => requestIdOf(request()));
    expect(ids.filter((id) => !UUID_V4.test(id))).toEqual([]);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('have each of their random characters in every value', () => {
    const ids = Array.from({ length: 5_000 }, () => requestIdOf(request()));
    const values = Array.from({ length: 36 }, (_, at) => new Set(ids.map((id) => id[at])).size);
    const [dash, version, variant] = [1, 1, 4];
    const run = (length: number): number[] => Array.from({ length }, () => 16);
    expect(values).toEqual([
      ...[...run(8), dash, ...run(4), dash, version, ...run(3)],
      ...[dash, variant, ...run(3), dash, ...run(12)],
    ]);
  });

  test('stay the same of one request', () => {
    const one = request();
    expect(requestIdOf(one)).toBe(requestIdOf(one));
  });
});
