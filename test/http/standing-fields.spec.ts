import * as fc from 'fast-check';
import { createServer, IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { SAY_QUOTA, type SaysQuota } from '../../src/core/answer-quota.js';
import { requestIdOf } from '../../src/http/request-id.js';
import { StandingFields } from '../../src/http/standing-fields.js';

const FIELDS: readonly (readonly [string, string])[] = [
  ['Cache-Control', 'no-store'],
  ['Content-Security-Policy', "default-src 'none'"],
  ['X-Frame-Options', 'DENY'],
];
const ID = '6b1c2d3e-0000-4000-8000-000000000000';
const fields = new StandingFields(FIELDS);

const answer = (): ServerResponse => new ServerResponse(new IncomingMessage(new Socket()));

function bearing(): ServerResponse {
  const response = answer();
  fields.putOn(response, ID);
  return response;
}

const server = createServer();
fields.makeAnswersOf(server);
const symbol = Object.getOwnPropertySymbols(server).find(
  ({ description }) => description === 'ServerResponse',
);
const Made = (server as unknown as Record<symbol, unknown>)[symbol ?? Symbol()] as typeof ServerResponse;

/** As a server makes it that was told to. */
const made = (): ServerResponse => new Made(new IncomingMessage(new Socket()));

/** One that is given another prototype on its way, as by an application of Express inside of another one. */
function changing(): ServerResponse {
  const response = made();
  response.setHeader('Server-Timing', 'a');
  Object.setPrototypeOf(response, ServerResponse.prototype);
  response.removeHeader('Server-Timing');
  return response;
}

/** The same as everybody else would set them. */
function setOneByOne(id = ID): ServerResponse {
  const response = answer();
  for (const [name, value] of [...FIELDS, ['X-Request-Id', id] as const]) response.setHeader(name, value);
  return response;
}

/** What goes over the wire, in no order; its date is the second in which it is asked. */
function written(response: ServerResponse): string[] {
  const { _header: text } = response as unknown as { readonly _header: string };
  return text
    .split('\r\n')
    .filter((line) => line !== '' && !line.startsWith('Date: '))
    .sort();
}

/** What a step answers, or how it is refused. */
function outcomeOf(each: Step, response: ServerResponse): unknown {
  try {
    return each(response);
  } catch (error) {
    return (error as { code?: string }).code ?? error;
  }
}

const seen = (response: ServerResponse): unknown => ({
  headers: Object.fromEntries(Object.entries(response.getHeaders()).sort()),
  names: response.getHeaderNames().sort(),
  raw: (response as unknown as { getRawHeaderNames(): string[] }).getRawHeaderNames().sort(),
});

/** On an answer that does not know how, as everybody else would. */
function sayQuota(response: ServerResponse & Partial<SaysQuota>, quota: string, policy: string): void {
  if (response[SAY_QUOTA]) response[SAY_QUOTA](quota, policy);
  else response.setHeader('RateLimit', quota).setHeader('RateLimit-Policy', policy);
}

type Step = (response: ServerResponse) => unknown;

const name = fc.constantFrom(
  ...['Cache-Control', 'cache-control', 'X-FRAME-OPTIONS', 'x-request-id', 'Content-Security-Policy'],
  ...['Content-Type', 'Vary', 'ETag', 'RateLimit', 'ratelimit-policy'],
);
/** Also some that Node.js refuses. */
const value = fc.constantFrom('a', 'b, c', 'max-age=1', 'line\nbreak', '中', undefined as unknown as string);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(name, value).map(
    ([of, to]): Step =>
      (response) =>
        response.setHeader(of, to),
  ),
  fc.tuple(name, value).map(
    ([of, to]): Step =>
      (response) =>
        response.appendHeader(of, to),
  ),
  name.map((of): Step => (response) => {
    response.removeHeader(of);
  }),
  name.map(
    (of): Step =>
      (response) =>
        response.getHeader(of),
  ),
  name.map(
    (of): Step =>
      (response) =>
        response.hasHeader(of),
  ),
  fc.constant<Step>(seen),
  fc.constantFrom('"principal";r=1;t=2', '"principal";r=0;t=60').map((quota): Step => (response) => {
    sayQuota(response, quota, '"principal";q=5;w=60');
  }),
);
const head: fc.Arbitrary<Step> = fc.oneof(
  fc.constant<Step>((response) => {
    response.flushHeaders();
  }),
  // One name in two spellings is another matter: where none of ours is among them, Node.js alone writes both.
  fc.uniqueArray(fc.tuple(name, value), { selector: ([of]) => of.toLowerCase() }).map(
    (set): Step =>
      (response) =>
        response.writeHead(200, Object.fromEntries(set)),
  ),
  fc.array(fc.tuple(fc.constantFrom('Cache-Control', 'cache-control', 'X-Frame-Options'), value)).map(
    (set): Step =>
      (response) =>
        response.writeHead(200, { 'X-Frame-Options': 'SAMEORIGIN', ...Object.fromEntries(set) }),
  ),
  fc.array(fc.tuple(name, value)).map(
    (set): Step =>
      (response) =>
        response.writeHead(200, set.flat()),
  ),
  fc.array(fc.oneof(name, value)).map(
    (odd): Step =>
      (response) =>
        response.writeHead(200, odd),
  ),
);

describe('header fields that every answer bears', () => {
  test.each([
    ['that was given them', bearing],
    ['that was made with them', made],
  ])('whoever sets or asks for one of an answer %s meets what setHeader would have left', (_of, make) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), head, (steps, writeHead) => {
        const ours = make();
        const theirs = setOneByOne(String(ours.getHeader('X-Request-Id')));
        // Where one is refused, a filter answers with what is left; where a head is refused, with a head of its own.
        for (const each of [...steps, writeHead]) {
          const [found, expected] = [outcomeOf(each, ours), outcomeOf(each, theirs)];
          if (expected !== theirs) expect(found).toEqual(expected);
        }
        const isRefused = !ours.headersSent;
        for (const response of [ours, theirs]) if (!response.headersSent) response.writeHead(500);
        // Of a refused head Node.js may keep what it had read of it until then; of ours all must be there, and right.
        const standing = /^(?:cache-control|content-security-policy|x-frame-options|x-request-id|ratelimit)/i;
        const [found, expected] = [ours, theirs].map((response) =>
          written(response).filter((line) => !isRefused || standing.test(line)),
        );
        expect(found).toEqual(expected);
        for (const [of] of [...FIELDS, ['X-Request-Id'], ['RateLimit'], ['RateLimit-Policy']] as const) {
          expect(ours.getHeader(of)).toEqual(theirs.getHeader(of));
        }
      }),
      { numRuns: 3_000 },
    );
  });

  test('V3.4.1 stay on an answer that is given another prototype, once each, and what is set then counts', () => {
    const own = ['Cache-Control', 'cache-control', 'X-Other'];
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...own), fc.constantFrom('a', 'b'))), (steps) => {
        const ours = changing();
        const theirs = setOneByOne(requestIdOf(ours.req));
        for (const response of [ours, theirs]) {
          for (const [of, to] of steps) response.setHeader(of, to);
          response.writeHead(200);
        }
        expect(written(ours)).toEqual(written(theirs));
      }),
    );
  });

  test('a server that makes other answers puts them on each', async () => {
    class Theirs extends ServerResponse {}
    const other = createServer({ ServerResponse: Theirs }, (_request, response) => {
      expect(response).toBeInstanceOf(Theirs);
      response.end();
    });
    fields.makeAnswersOf(other);
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = other.address() as { port: number };
      const { headers } = await fetch(`http://127.0.0.1:${port}/`);
      expect(headers.get('x-frame-options')).toBe('DENY');
      expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    } finally {
      other.close();
    }
  });

  test('V3.4.1 are written once each, with the id of this request and no other', () => {
    const [first, second] = [bearing(), answer()];
    fields.putOn(second, 'another');
    for (const response of [first, second]) response.writeHead(204);
    for (const [response, id] of [
      [first, ID],
      [second, 'another'],
    ] as const) {
      const lines = written(response);
      for (const [name, value] of [...FIELDS, ['X-Request-Id', id] as const]) {
        expect(lines.filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}: `))).toEqual([
          `${name}: ${value}`,
        ]);
      }
    }
  });

  test('what is left to a caller is written with them, and by two answers each its own', () => {
    const [first, second, third] = [bearing(), bearing(), bearing()];
    sayQuota(first, '"principal";r=1;t=2', '"principal";q=5;w=60');
    sayQuota(second, '"principal";r=3;t=4', '"principal";q=5;w=60');
    for (const response of [first, second, third]) response.writeHead(204);
    const quotas = [first, second, third].map((response) =>
      written(response).filter((line) => line.startsWith('RateLimit')),
    );
    expect(quotas).toEqual([
      ['RateLimit-Policy: "principal";q=5;w=60', 'RateLimit: "principal";r=1;t=2'],
      ['RateLimit-Policy: "principal";q=5;w=60', 'RateLimit: "principal";r=3;t=4'],
      [],
    ]);
  });

  test('V3.4.1 what somebody set before the edge stays, and ours are there once', () => {
    const response = answer();
    response.setHeader('Server-Timing', 'a');
    response.setHeader('x-request-id', 'theirs');
    response.setHeader('X-Frame-Options', 'SAMEORIGIN');
    fields.putOn(response, ID);
    response.writeHead(204);
    const expected = [...FIELDS, ['X-Request-Id', ID], ['Server-Timing', 'a']].map((pair) => pair.join(': '));
    expect(written(response).filter((line) => /^(?!HTTP|Connection|Keep-Alive)/.test(line))).toEqual(
      expected.sort(),
    );
  });

  test('once the head is out, a quota is not said any more, and nothing claims that it was', () => {
    const response = bearing();
    response.writeHead(204);
    sayQuota(response, '"principal";r=1;t=2', '"principal";q=5;w=60');
    expect(response.getHeader('RateLimit')).toBeUndefined();
  });

  test('what is no name is refused as Node.js refuses it', () => {
    for (const name of [undefined, 5, null] as unknown as string[]) {
      for (const each of ['removeHeader', 'getHeader', 'hasHeader'] as const) {
        const [ours, theirs] = [bearing(), setOneByOne()].map((response) =>
          outcomeOf((asked) => asked[each](name), response),
        );
        expect(ours, `${each}: ${JSON.stringify(name)}`).toEqual(theirs);
      }
    }
  });

  test('this Node.js writes answers as it is known to, so that they are written as one text', () => {
    expect(StandingFields.areOn(bearing())).toBe(true);
    expect(StandingFields.areOn(made())).toBe(true);
  });

  test('a field that is set by somebody else as a pair of writeHead is theirs alone', () => {
    const response = bearing();
    response.writeHead(200, [['x-frame-options', 'SAMEORIGIN']] as never);
    expect(written(response).filter((line) => /^x-frame-options:/i.test(line))).toEqual([
      'x-frame-options: SAMEORIGIN',
    ]);
  });

  test('an answer that is no text of HTTP/1 bears them one by one', () => {
    const set = new Map<string, unknown>();
    const response = { setHeader: (field: string, to: unknown) => set.set(field, to) };
    fields.putOn(response as unknown as ServerResponse, ID);
    expect([...set]).toEqual([...FIELDS, ['X-Request-Id', ID]]);
    expect(StandingFields.areOn(response)).toBe(false);
  });

  test.each(['a b', 'a:b', ''])('a name that is none is refused at once: "%s"', (of) => {
    expect(() => new StandingFields([[of, 'value']])).toThrow(TypeError);
  });

  test('a value that would begin a line of its own is refused at once', () => {
    expect(() => new StandingFields([['X-Name', 'a\r\nSet-Cookie: b=c']])).toThrow(TypeError);
  });
});
