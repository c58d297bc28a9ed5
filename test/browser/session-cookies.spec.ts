import type { Browser, BrowserContext, Page } from 'playwright-core';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, test } from 'vitest';
import { SessionsService } from '../../src/sessions/sessions.service.js';
import { ADAPTERS } from '../support/application.js';
import { startSample, type Sample } from '../support/sample.js';
import { launchChromium } from './chromium.js';
import { Sites, type Seen } from './sites.js';

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
  return () => browser.close();
});

describe.each(ADAPTERS)('a session in the cookies of a real browser, on %s', (adapter) => {
  let sites: Sites;
  let sample: Sample;
  let database: pg.Client;
  let context: BrowserContext;
  beforeAll(async () => {
    sites = await Sites.open(() => Number(new URL(sample.url).port));
    const origins = [sites.other('app.example.test'), sites.other('partner.test')];
    sample = await startSample({ adapter, environment: { CORS_ORIGINS: origins.join(',') } });
    database = new pg.Client({ connectionString: sample.database.superuserUrl });
    await database.connect();
  });
  afterAll(async () => {
    await sites.close();
    await database.end();
    await sample.close();
  });
  beforeEach(async () => {
    // The certificate is of an authority of this run alone.
    context = await browser.newContext({ ignoreHTTPSErrors: true });
    sites.seen.length = 0;
  });
  afterEach(() => context.close());

  const credentialsOf = (name: string): { email: string; password: string } => {
    const { email, password } = sample.accounts.find((each) => each.email === `${name}@example.test`)!;
    return { email, password };
  };
  async function open(origin: string): Promise<Page> {
    const page = await context.newPage();
    await page.goto(`${origin}/page`);
    return page;
  }
  /** What a script of a page gets: status and text, or that the browser kept it from it. */
  function fetchFrom(
    page: Page,
    url: string,
    init: object = {},
  ): Promise<{ status: number; text: string; headers: string }> {
    return page.evaluate(
      `fetch(${JSON.stringify(url)}, ${JSON.stringify(init)}).then(
         async (answer) => ({ status: answer.status, text: await answer.text(), headers: [...answer.headers].join('\\n') }),
         (error) => ({ status: -1, text: error.name, headers: '' }))`,
    );
  }
  const json = (body: object): object => ({
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  /** Signs the browser in, without the cost of a password. */
  async function signIn(name = 'editor'): Promise<string> {
    const subject = await sample.accountId(name);
    const session = await sample.app
      .get(SessionsService)
      .open({ subject, acr: 'aal1', amr: ['pwd'], delivery: 'cookie' });
    const kept = { url: sites.portal, secure: true, httpOnly: true };
    await context.addCookies([
      { ...kept, name: '__Host-access', value: session.accessToken, sameSite: 'Lax' },
      { ...kept, name: '__Host-refresh', value: session.refreshToken, sameSite: 'Strict' },
    ]);
    return session.sessionId;
  }
  const cookies = async (): Promise<string[]> =>
    (await context.cookies(sites.portal)).map(({ name, value }) => `${name}=${value}`).sort();
  async function state(): Promise<unknown> {
    const { rows } = await database.query(
      `SELECT (SELECT json_agg(s ORDER BY id) FROM
                (SELECT id, generation, ended_at FROM sessions.session) s) AS sessions,
              (SELECT json_agg(id ORDER BY id) FROM documents.document) AS documents,
              (SELECT json_agg(password_hash ORDER BY id) FROM identity.account) AS passwords`,
    );
    return rows[0];
  }
  async function expectAlive(): Promise<void> {
    const page = await open(sites.portal);
    expect(await fetchFrom(page, '/auth/me')).toMatchObject({ status: 200 });
    expect(await fetchFrom(page, '/auth/refresh', { method: 'POST' })).toMatchObject({ status: 200 });
  }
  const changing = (): Seen[] => sites.seen.filter(({ line }) => !/^(GET|HEAD|OPTIONS) /.test(line));

  test('WEB-01 the browser keeps both cookies as we mean them, and no script can read a token anywhere', async () => {
    const page = await open(sites.portal);
    const answer = await fetchFrom(page, '/auth/login', json(credentialsOf('editor')));
    expect(answer.status).toBe(200);
    const kept = await context.cookies(sites.portal);
    expect(
      kept.map(({ name, domain, path, httpOnly, secure, sameSite }) => ({
        ...{ name, domain, path, httpOnly, secure, sameSite },
      })),
    ).toEqual(
      (
        [
          ['__Host-access', 'Lax'],
          ['__Host-refresh', 'Strict'],
        ] as const
      ).map(([name, sameSite]) => ({
        ...{ name, domain: 'portal.example.test', path: '/', httpOnly: true, secure: true, sameSite },
      })),
    );
    const lifetimes = kept.map(({ expires }) => Math.round((expires - Date.now() / 1000) / 60));
    expect(lifetimes).toEqual([15, 720]);
    const readable = await page.evaluate<string>(
      `(async () => JSON.stringify([
         document.cookie, await cookieStore.getAll(), { ...localStorage }, { ...sessionStorage },
         await caches.keys(), await new Promise((done) => {
           const request = new XMLHttpRequest();
           request.open('POST', '/auth/refresh');
           request.onload = () => done([request.getAllResponseHeaders(), request.getResponseHeader('set-cookie'), request.responseText]);
           request.send();
         })]))()`,
    );
    const all = `${answer.text}\n${answer.headers}\n${readable}`;
    expect(all).not.toMatch(/__Host-|set-cookie|eyJ|zt_refresh/i);
    for (const { value } of [...kept, ...(await context.cookies(sites.portal))])
      expect(all).not.toContain(value);
    expect(await fetchFrom(page, '/auth/me')).toMatchObject({ status: 200 });
  });

  test('WEB-01 a script can neither overwrite nor take away the cookies', async () => {
    await signIn();
    const page = await open(sites.portal);
    const before = await cookies();
    await page.evaluate(
      `for (const name of ['__Host-access', '__Host-refresh'])
         for (const rest of ['', '; Path=/', '; Path=/; Secure', '; Path=/; Secure; Max-Age=0'])
           document.cookie = name + '=evil' + rest`,
    );
    expect(await cookies()).toEqual(before);
    await expectAlive();
  });

  test('WEB-09 a neighbour under the same domain cannot plant our cookies, and look-alikes shut nobody out', async () => {
    await signIn();
    const before = await cookies();
    const page = await open(sites.other('blog.example.test'));
    await page.evaluate(
      `for (const name of ['__Host-access', '__Host-refresh', '__host-access', '=__Host-access', '\\u2000__Host-access', '\\u00a0__Host-access', '\\t__Host-access', ' __Host-refresh'])
         for (const rest of ['; Path=/; Secure', '; Path=/auth; Secure', '; Path=/auth/refresh; Secure'])
           document.cookie = name + '=evil; Domain=example.test' + rest`,
    );
    const kept = await cookies();
    expect(kept.filter((each) => /^__Host-/i.test(each))).toEqual(before);
    await expectAlive();
    // The control: a neighbour does plant what bears no prefix.
    await page.evaluate(`document.cookie = 'access=evil; Domain=example.test; Path=/; Secure'`);
    expect(await cookies()).toContain('access=evil');
  });

  const TYPES = ['application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain'];
  const TARGETS = [
    '/auth/refresh',
    '/auth/logout',
    '/auth/logout/all',
    '/auth/password/change',
    '/documents',
  ];

  test.each([
    ['another site', 'evil.test', 'cross-site'],
    ['a neighbour under the same domain', 'blog.example.test', 'same-site'],
  ] as const)('WEB-02 WEB-03 no form of %s changes anything', async (_, name, relation) => {
    await signIn();
    const before = [await state(), await cookies()];
    for (const path of TARGETS) {
      for (const type of TYPES) {
        const page = await open(sites.other(name));
        const answered = page.waitForResponse((answer) => answer.url() === `${sites.portal}${path}`);
        await page.evaluate(
          `{ const form = document.createElement('form');
             form.method = 'post'; form.action = ${JSON.stringify(sites.portal + path)}; form.enctype = ${JSON.stringify(type)};
             const field = document.createElement('input');
             field.name = '{"title":"planted","body":"'; field.value = '"}';
             form.append(field); document.body.append(form); form.submit(); }`,
        );
        expect((await answered).status()).toBe(403);
        await page.close();
      }
    }
    expect([await state(), await cookies()]).toEqual(before);
    expect(changing()).toHaveLength(TARGETS.length * TYPES.length);
    for (const { site, status, cookies: sent } of changing()) {
      expect([site, status]).toEqual([relation, 403]);
      // A neighbour's request does carry the cookies: that is where SameSite ends and our own check is all there is.
      expect(sent).toEqual(relation === 'same-site' ? ['__Host-access', '__Host-refresh'] : []);
    }
    await expectAlive();
  });

  test.each([
    ['another site', 'evil.test'],
    ['a neighbour under the same domain', 'blog.example.test'],
  ] as const)('WEB-02 WEB-03 no script of %s changes anything or reads an answer', async (_, name) => {
    await signIn();
    const before = [await state(), await cookies()];
    const page = await open(sites.other(name));
    for (const path of TARGETS) {
      for (const init of [
        { mode: 'no-cors', credentials: 'include' },
        {
          mode: 'no-cors',
          credentials: 'include',
          headers: { 'content-type': 'text/plain' },
          body: '{"title":"a"}',
        },
        { mode: 'cors', credentials: 'include' },
        { mode: 'cors', credentials: 'omit' },
        { mode: 'cors', credentials: 'include', headers: { 'content-type': 'application/json' }, body: '{}' },
        { mode: 'cors', credentials: 'include', headers: { authorization: 'Bearer x' } },
      ]) {
        const answer = await fetchFrom(page, `${sites.portal}${path}`, { method: 'POST', ...init });
        // Opaque (0) or an error (-1): nothing of the answer reaches the page.
        expect([0, -1]).toContain(answer.status);
        expect(['', 'TypeError']).toContain(answer.text);
      }
      await page.evaluate(`navigator.sendBeacon(${JSON.stringify(sites.portal + path)}, 'x')`);
    }
    for (const method of ['PUT', 'PATCH', 'DELETE'])
      expect(
        await fetchFrom(page, `${sites.portal}/auth/sessions`, { method, credentials: 'include' }),
      ).toMatchObject({ status: -1 });
    for (const path of ['/auth/me', '/auth/sessions', '/documents'])
      for (const mode of ['cors', 'no-cors'])
        expect(
          await fetchFrom(page, `${sites.portal}${path}`, { mode, credentials: 'include' }),
        ).toMatchObject({ status: -1, text: 'TypeError' });
    await expect.poll(() => changing().length).toBeGreaterThanOrEqual(TARGETS.length * 4);
    for (const { status } of changing()) expect(status).toBe(403);
    expect([await state(), await cookies()]).toEqual(before);
    await expectAlive();
  });

  test('WEB-02 WEB-03 images, scripts, frames and navigations of another site change and show nothing', async () => {
    await signIn();
    const before = [await state(), await cookies()];
    for (const name of ['evil.test', 'blog.example.test'] as const) {
      const page = await open(sites.other(name));
      // The control: of a page that allows it a frame is made.
      await page.evaluate(
        `{ const frame = document.createElement('iframe'); frame.src = '/page'; document.body.append(frame); }`,
      );
      await expect.poll(() => page.frames()[1]?.url()).toBe(`${sites.other(name)}/page`);
      for (const path of ['/auth/logout', '/auth/refresh', '/auth/me']) {
        const url = JSON.stringify(sites.portal + path);
        const loaded = await page.evaluate<string[]>(
          `Promise.all(['img', 'script', 'iframe', 'embed', 'link', 'video'].map((tag) => new Promise((done) => {
             const element = document.createElement(tag);
             if (tag === 'link') { element.rel = 'stylesheet'; element.href = ${url}; } else element.src = ${url};
             element.onload = () => done(tag + ' loaded'); element.onerror = () => done(tag + ' failed');
             document.body.append(element);
           })))`,
        );
        expect(loaded).toEqual(
          expect.arrayContaining(['img failed', 'script failed', 'link failed', 'video failed']),
        );
        for (const frame of page.frames().slice(1)) expect(frame.url()).not.toContain('portal.example.test');
      }
      // A form inside a frame, and one that opens a window.
      for (const target of ['inner', '_blank']) {
        const sent = changing().length;
        await page.evaluate(
          `{ const frame = document.createElement('iframe'); frame.name = 'inner'; document.body.append(frame);
             const form = document.createElement('form');
             form.method = 'post'; form.action = ${JSON.stringify(`${sites.portal}/auth/logout`)}; form.target = '${target}';
             document.body.append(form); form.submit(); }`,
        );
        await expect.poll(() => changing().length).toBeGreaterThan(sent);
      }
      await page.goto(`${sites.portal}/auth/logout`);
      expect(await page.evaluate('document.body.innerText')).toContain('method-not-allowed');
    }
    for (const { status } of changing()) expect(status).toBe(403);
    expect([await state(), await cookies()]).toEqual(before);
    await expectAlive();
  });

  test('WEB-02 a sandboxed frame, whose origin is null, changes nothing on the service’s own page either', async () => {
    await signIn();
    const before = [await state(), await cookies()];
    const page = await open(sites.portal);
    await page.evaluate(
      `{ const frame = document.createElement('iframe'); frame.sandbox = 'allow-scripts allow-forms';
         frame.srcdoc = '<form method=post action=${sites.portal}/auth/refresh></form><script>document.forms[0].submit()</' + 'script>';
         document.body.append(frame); }`,
    );
    await expect.poll(() => changing().length).toBe(1);
    expect(changing()[0]).toMatchObject({ status: 403, site: 'cross-site' });
    expect([await state(), await cookies()]).toEqual(before);
    await expectAlive();
  });

  test('WEB-05 another site cannot sign a browser in with its own account', async () => {
    const before = await state();
    const { email, password } = credentialsOf('clerk');
    for (const name of ['evil.test', 'blog.example.test'] as const) {
      const page = await open(sites.other(name));
      const target = `${sites.portal}/auth/login`;
      for (const init of [
        { mode: 'no-cors', headers: { 'content-type': 'text/plain' } },
        { mode: 'cors', headers: { 'content-type': 'text/plain' } },
        { mode: 'cors', headers: { 'content-type': 'application/json' } },
      ]) {
        const body = JSON.stringify({ email, password });
        await fetchFrom(page, target, { method: 'POST', credentials: 'include', body, ...init });
      }
      const answered = page.waitForResponse((answer) => answer.url() === target);
      await page.evaluate(
        `{ const form = document.createElement('form');
           form.method = 'post'; form.action = ${JSON.stringify(target)}; form.enctype = 'text/plain';
           const field = document.createElement('input');
           field.name = ${JSON.stringify(`{"email":"${email}","password":"${password}","x":"`)}; field.value = '"}';
           form.append(field); document.body.append(form); form.submit(); }`,
      );
      expect((await answered).status()).toBe(403);
    }
    expect(changing().length).toBeGreaterThanOrEqual(6);
    for (const { status } of changing()) expect(status).toBe(403);
    expect([await cookies(), await state()]).toEqual([[], before]);
    // The control: the very same credentials, from the service's own page.
    const own = await open(sites.portal);
    expect(await fetchFrom(own, '/auth/login', json({ email, password }))).toMatchObject({ status: 200 });
    expect(await cookies()).toHaveLength(2);
  });

  test('WEB-07 a listed origin signs in, calls and logs out with cookies that it cannot read', async () => {
    const page = await open(sites.other('app.example.test'));
    const at = (path: string, init: object): ReturnType<typeof fetchFrom> =>
      fetchFrom(page, `${sites.portal}${path}`, { credentials: 'include', ...init });
    const answer = await at('/auth/login', json(credentialsOf('viewer')));
    expect([answer.status, JSON.parse(answer.text)]).toEqual([
      200,
      { status: 'authenticated', expiresIn: 900 },
    ]);
    expect(answer.headers).not.toMatch(/set-cookie/i);
    expect(await cookies()).toHaveLength(2);
    expect(await page.evaluate('document.cookie')).toBe('');
    expect(await at('/auth/me', {})).toMatchObject({ status: 200 });
    expect(await at('/auth/refresh', { method: 'POST' })).toMatchObject({ status: 200 });
    // Errors can be read as well, and without credentials there is nobody.
    expect(await at('/auth/me', { credentials: 'omit' })).toMatchObject({ status: 401 });
    expect(await at('/auth/logout', { method: 'POST' })).toMatchObject({ status: 204 });
    expect(await cookies()).toEqual([]);
    expect(await at('/auth/me', {})).toMatchObject({ status: 401 });
  });

  test('WEB-07 a listed origin of another site may call, but no cookie goes along or is kept', async () => {
    await signIn();
    const before = await cookies();
    const page = await open(sites.other('partner.test'));
    const init = { credentials: 'include' };
    expect(await fetchFrom(page, `${sites.portal}/auth/me`, init)).toMatchObject({ status: 401 });
    const refreshed = await fetchFrom(page, `${sites.portal}/auth/refresh`, { ...init, method: 'POST' });
    expect(refreshed).toMatchObject({ status: 401 });
    expect(sites.seen.flatMap(({ cookies: sent }) => sent)).toEqual([]);
    expect(await cookies()).toEqual(before);
  });

  test('WEB-23 logging out leaves nothing behind in the browser', async () => {
    await signIn('viewer');
    const page = await open(sites.portal);
    await page.evaluate(`localStorage.setItem('draft', 'secret'), sessionStorage.setItem('draft', 'secret')`);
    expect(await fetchFrom(page, '/auth/logout', { method: 'POST' })).toMatchObject({ status: 204 });
    expect(await cookies()).toEqual([]);
    const left = await page.evaluate('[document.cookie, localStorage.length, sessionStorage.length]');
    expect(left).toEqual(['', 0, 0]);
    expect(await fetchFrom(page, '/auth/me')).toMatchObject({ status: 401 });
  });

  test('WEB-13 after logging out the back button shows nothing of before', async () => {
    await signIn('viewer');
    const page = await open(sites.portal);
    await page.goto(`${sites.portal}/auth/me`);
    expect(await page.evaluate('document.body.innerText')).toContain('viewer@example.test');
    await page.goto(`${sites.portal}/page`);
    await fetchFrom(page, '/auth/logout', { method: 'POST' });
    await page.goBack();
    expect(await page.evaluate('document.body.innerText')).not.toContain('viewer@example.test');
  });
});
