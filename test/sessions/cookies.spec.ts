import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ACCESS_COOKIE, REFRESH_COOKIE, readCookie, writeCookie } from '../../src/sessions/cookies.js';
import { presentedRefreshTokenOf } from '../../src/sessions/refresh/presented-refresh-token.js';
import { accessTokenOfRequest, presentedTokenOf } from '../../src/sessions/access-tokens/presented-token.js';

const faultOf = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return (error as { code?: string }).code;
  }
};

const tokens = fc.stringMatching(/^[A-Za-z0-9_.-]{1,400}$/);

describe('a cookie that is written', () => {
  test('WEB-01 is for this host alone, over HTTPS, out of reach of scripts, and not sent by other sites', () => {
    expect(writeCookie(ACCESS_COOKIE, 'a.b.c', 900)).toBe(
      '__Host-access=a.b.c; Path=/; Max-Age=900; HttpOnly; Secure; SameSite=Lax',
    );
    expect(writeCookie(REFRESH_COOKIE, 'r', 43_200)).toBe(
      '__Host-refresh=r; Path=/; Max-Age=43200; HttpOnly; Secure; SameSite=Strict',
    );
  });

  test('WEB-01 is taken away with the attributes that it was given', () => {
    for (const name of [ACCESS_COOKIE, REFRESH_COOKIE] as const) {
      const attributes = (line: string): string =>
        line.replace(/^[^;]*/, '').replace(/Max-Age=\d+/, 'Max-Age');
      expect(attributes(writeCookie(name, '', 0))).toBe(attributes(writeCookie(name, 'x', 900)));
      expect(writeCookie(name, '', 0)).toMatch(new RegExp(`^${name}=; .*Max-Age=0;`));
    }
  });

  test('WEB-01 is never longer than what a browser keeps', () => {
    const most = 'a'.repeat(4_096 - ACCESS_COOKIE.length);
    expect(writeCookie(ACCESS_COOKIE, most, 900)).toContain(most);
    expect(() => writeCookie(ACCESS_COOKIE, `${most}a`, 900)).toThrow('longer than the 4096 bytes');
    expect(() => writeCookie(ACCESS_COOKIE, `${most.slice(1)}ä`, 900)).toThrow(TypeError);
  });

  test('is read again as it was, wherever it stands among others', () => {
    const other = fc.stringMatching(/^[a-z]{1,8}=[A-Za-z0-9%]{0,12}$/);
    fc.assert(
      fc.property(tokens, fc.array(other), fc.array(other), (token, before, after) => {
        const line = [...before, `${ACCESS_COOKIE}=${token}`, ...after].join('; ');
        expect(readCookie(line, ACCESS_COOKIE)).toBe(token);
        expect(readCookie(line, REFRESH_COOKIE)).toBeUndefined();
      }),
    );
  });
});

describe('a Cookie header', () => {
  test('any header gives one value, nothing, or a refusal, and never somebody else’s cookie', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), tokens, (noise, token) => {
        const line = `${noise}; ${ACCESS_COOKIE}=${token}`;
        expect([token, 'invalid-credentials']).toContain(faultOf(() => readCookie(line, ACCESS_COOKIE)));
      }),
    );
  });

  test.each([
    ['evil first', 'e; __Host-access=good'],
    ['evil last', 'good; __Host-access=e'],
    ['an empty one first', '; __Host-access=good'],
    ['an empty one last', 'good; __Host-access='],
    ['the same twice', 'good; __Host-access=good'],
    ['one inside quotes', '"x; __Host-access=good; y"'],
    ['no blank between', 'e;__Host-access=good'],
    ['far apart', 'e; a=b; c; =; __Host-access=good'],
    ['three', 'a; __Host-access=b; __Host-access=c'],
  ])('WEB-09 two of one name are refused, whichever is the good one: %s', (_, rest) => {
    expect(faultOf(() => readCookie(`__Host-access=${rest}`, ACCESS_COOKIE))).toBe('invalid-credentials');
  });

  test.each([
    ['another letter case', '__host-access=e'],
    ['a name that ends alike', 'x__Host-access=e'],
    ['a name that begins alike', '__Host-access2=e'],
    ['a blank before the sign', '__Host-access =e'],
    ['the name as a value', 'a=__Host-access=e'],
    ['a nameless cookie', '=__Host-access=e'],
    ['the name alone', '__Host-access'],
    ['a no-break space before it', '\u00a0__Host-access=e'],
    ['a line separator before it', '\u2028__Host-access=e'],
    ['a byte order mark before it', '\ufeff__Host-access=e'],
    ['a vertical tab before it', '\u000b__Host-access=e'],
    ['a form feed before it', '\u000c__Host-access=e'],
    ['an en quad as UTF-8 bytes before it', '\u00e2\u0080\u0080__Host-access=e'],
    ['a percent-encoded name', '%5f_Host-access=e'],
    ['a quoted name', '"__Host-access"=e'],
    ['another separator', 'a=b, __Host-access=e'],
    ['an old-style version', '$Version=1, __Host-access=e'],
    ['the other one', '__Host-refresh=e'],
    ['the insecure prefix', '__Secure-access=e'],
  ])('WEB-09 what a neighbour could plant is not ours: %s', (_, line) => {
    expect(readCookie(line, ACCESS_COOKIE)).toBeUndefined();
    // Beside the good one it does not shut anybody out either.
    expect(readCookie(`${line}; __Host-access=good`, ACCESS_COOKIE)).toBe('good');
  });

  test('blanks and tabs around a pair are none of its name or value', () => {
    for (const line of [
      '\t__Host-access=good',
      ' \t __Host-access=good\t ',
      'a=b;\t__Host-access=good\t; c=d',
    ]) {
      expect(readCookie(line, ACCESS_COOKIE)).toBe('good');
    }
    expect(readCookie('   ; \t; ', ACCESS_COOKIE)).toBeUndefined();
    expect(readCookie(' \t; __Host-access=good; \t', ACCESS_COOKIE)).toBe('good');
  });

  test('the operator is told what was wrong with it', () => {
    const told = (line: string): unknown => {
      try {
        return readCookie(line, ACCESS_COOKIE);
      } catch (error) {
        return (error as { detail: string }).detail;
      }
    };
    expect(told('__Host-access=a; __Host-access=b')).toBe('several cookies of one name were sent');
    expect(told('__Host-access="a"')).toBe('the token is not in compact form');
  });

  test('whose text was verified before is not looked at again, and every other one is', () => {
    const asked: string[] = [];
    const isVerified = (text: string): boolean => {
      asked.push(text);
      return text === '"a"';
    };
    expect(readCookie('b=c; __Host-access="a"', ACCESS_COOKIE, isVerified)).toBe('"a"');
    expect(faultOf(() => readCookie('__Host-access="b"', ACCESS_COOKIE, isVerified))).toBe(
      'invalid-credentials',
    );
    expect(readCookie('__Host-access=', ACCESS_COOKIE, isVerified)).toBeUndefined();
    expect(asked).toEqual(['"a"', '"b"']);
  });

  test('an empty one is none', () => {
    expect(readCookie('__Host-access=', ACCESS_COOKIE)).toBeUndefined();
    expect(readCookie('__Host-access=  ; a=b', ACCESS_COOKIE)).toBeUndefined();
    expect(readCookie('', ACCESS_COOKIE)).toBeUndefined();
    expect(readCookie(undefined, ACCESS_COOKIE)).toBeUndefined();
  });

  test.each(['"good"', 'a b', 'a,b', 'a\\b', 'ä', 'a\u0000', 'a\tb', '%61%', '{}'])(
    'a value that we never write is refused: %j',
    (value) => {
      expect(faultOf(() => readCookie(`__Host-access=${value}`, ACCESS_COOKIE))).toBe('invalid-credentials');
    },
  );

  test('a long one is read in time that grows with its length, not with its square', () => {
    const blanks = ' \t'.repeat(100_000);
    const line = `${'a=b;'.repeat(4_000)}${blanks}x${blanks}y${blanks}; __Host-access=good`;
    const begun = performance.now();
    expect(readCookie(line, ACCESS_COOKIE)).toBe('good');
    expect(performance.now() - begun).toBeLessThan(1_000);
  });
});

describe('where a token came from', () => {
  const request = (headers: Record<string, string>): object => ({
    headers,
    rawHeaders: Object.entries(headers).flat(),
    url: '/',
  });
  const cookie = request({ cookie: '__Host-access=a.b.c; __Host-refresh=r' });
  const bearer = request({ authorization: 'Bearer a.b.c' });
  const both = request({ cookie: '__Host-access=a.b.c', authorization: 'Bearer a.b.c' });

  test('with cookies off none is read, and nothing is ambiguous', () => {
    expect(accessTokenOfRequest(cookie, false)).toBeUndefined();
    expect(accessTokenOfRequest(both, false)).toEqual({ token: 'a.b.c', delivery: 'token' });
    expect(presentedRefreshTokenOf(cookie, undefined, false)).toBeUndefined();
    expect(presentedRefreshTokenOf(cookie, 'b', false)).toEqual({ text: 'b', delivery: 'token' });
    const doubled = request({ cookie: '__Host-access=a; __Host-access=b' });
    expect(accessTokenOfRequest(doubled, false)).toBeUndefined();
  });

  test('a bearer token and a cookie at once are refused, and so is a refresh token beside the other way', () => {
    expect(accessTokenOfRequest(cookie, true)).toEqual({ token: 'a.b.c', delivery: 'cookie' });
    expect(accessTokenOfRequest(bearer, true)).toEqual({ token: 'a.b.c', delivery: 'token' });
    const ambiguous: readonly (() => unknown)[] = [
      () => accessTokenOfRequest(both, true),
      () => presentedRefreshTokenOf(cookie, 'b', true),
      () => presentedRefreshTokenOf(cookie, '', true),
      () =>
        presentedRefreshTokenOf(
          request({ cookie: '__Host-refresh=r', authorization: 'Bearer a' }),
          undefined,
          true,
        ),
      () => presentedRefreshTokenOf(request({ cookie: '__Host-access=a' }), 'b', true),
    ];
    for (const work of ambiguous) expect(faultOf(work)).toBe('ambiguous-credentials');
  });

  test('a refresh token may have its own access token beside it', () => {
    expect(presentedRefreshTokenOf(cookie, undefined, true)).toEqual({ text: 'r', delivery: 'cookie' });
    expect(presentedRefreshTokenOf(cookie, null, true)).toEqual({ text: 'r', delivery: 'cookie' });
    expect(presentedRefreshTokenOf(bearer, 'b', true)).toEqual({ text: 'b', delivery: 'token' });
  });

  test('a request that opens a socket is proved by no cookie, on any transport; a bearer token still counts', () => {
    const on = (type: string, ...given: unknown[]): unknown => {
      const execution = new ExecutionContextHost(given);
      execution.setType(type);
      return presentedTokenOf(execution, true)?.delivery;
    };
    const upgrade = (more: Record<string, string>): object =>
      request({ upgrade: 'websocket', connection: 'Upgrade', ...more });
    const [planted, proved] = [
      upgrade({ cookie: '__Host-access=a.b.c' }),
      upgrade({ authorization: 'Bearer a.b.c' }),
    ];
    expect(on('ws', { request: planted }, {}, 'event')).toBeUndefined();
    expect(on('ws', { request: cookie }, {}, 'event')).toBeUndefined();
    expect(on('graphql', {}, {}, { req: planted }, {})).toBeUndefined();
    expect(on('http', planted)).toBeUndefined();
    expect(on('ws', { request: proved }, {}, 'event')).toBe('token');
    expect(on('graphql', {}, {}, { req: proved }, {})).toBe('token');
    // The control: an ordinary request.
    expect(on('graphql', {}, {}, { req: cookie }, {})).toBe('cookie');
    expect(on('http', cookie)).toBe('cookie');
  });
});
