import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OpenApiDocument } from '../../src/openapi/openapi.document.js';
import { OpenApiModule } from '../../src/openapi/openapi.module.js';
import type { OpenApiOptions } from '../../src/openapi/openapi.options.js';
import { ZeroTrustModule } from '../../src/zero-trust.module.js';
import { ADAPTERS } from '../support/application.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { hostileModule } from '../support/hostile.application.js';
import { startSample, type Sample } from '../support/sample.js';
import { AppModule } from '../../sample/src/app.module.js';
import { DevelopmentModule } from '../../sample/src/development.module.js';
import { MASTER_KEY, startDocumented } from './documented.application.js';

const FILES = ['/docs', '/docs/start.js', '/docs/swagger-ui.css', '/docs/swagger-ui-bundle.js'];

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

function withDocument(options: Partial<OpenApiOptions>): new () => unknown {
  @Module({ imports: [AppModule, OpenApiModule.forRoot({ title: 'Portal', version: '1', ...options })] })
  class PortalModule {}
  return PortalModule;
}

describe.each(ADAPTERS)('who may read the document, on %s', (adapter) => {
  let sample: Sample;
  beforeAll(async () => {
    sample = await startSample({ adapter, root: DevelopmentModule });
  });
  afterAll(() => sample.close());

  /** What document and files answer to nobody, and to each of the named. */
  async function statuses(options: Partial<OpenApiOptions>, ...names: string[]): Promise<string[]> {
    const started = await startSample({ adapter, root: withDocument(options) });
    try {
      const callers = [started.anonymous];
      for (const name of names) callers.push(await started.signIn(name));
      const seen: string[] = [];
      for (const caller of callers) {
        const statuses: number[] = [];
        for (const path of ['/openapi.json', ...FILES]) statuses.push((await caller.get(path)).status);
        seen.push(statuses.join(' '));
      }
      return seen;
    } finally {
      await started.close();
    }
  }

  test('V13.4.5 V8.2.1 left alone it is for whoever may read the access matrix, and there is no page', async () => {
    expect(await statuses({}, 'viewer', 'admin')).toEqual([
      '401 404 404 404 404',
      '403 404 404 404 404',
      '200 404 404 404 404',
    ]);
  });

  test('V13.4.5 V8.2.1 the page and each of its files ask for what the document asks for', async () => {
    expect(await statuses({ page: true, access: 'documents:write' }, 'viewer', 'editor')).toEqual([
      '401 401 401 401 401',
      '403 403 403 403 403',
      '200 200 200 200 200',
    ]);
    expect(await statuses({ page: true, access: 'authenticated' }, 'viewer')).toEqual([
      '401 401 401 401 401',
      '200 200 200 200 200',
    ]);
    for (const path of ['/openapi.json', ...FILES])
      expect((await sample.anonymous.get(path)).status).toBe(200);
  });

  test('V13.4.5 opened to everybody without a review of it, nothing starts', async () => {
    const started = startSample({ adapter, root: withDocument({ access: 'public' }) });
    await expect(started).rejects.toThrow(/GET \/openapi\.json is reached by anybody: .*"publicRoutes"/);
  });

  test('V3.4.3 each answer of the page has a nonce of its own, which is all that its policy lets run', async () => {
    const nonces = [];
    for (const path of ['/docs', '/docs?x=/', '/docs']) {
      const { headers, text } = await sample.anonymous.get(path);
      const policy = headers.get('content-security-policy')!;
      const [nonce] = /(?<=script-src 'nonce-)[^']+/.exec(policy)!;
      expect(policy).toBe(
        `default-src 'none';script-src 'nonce-${nonce}';style-src 'nonce-${nonce}';img-src data:;connect-src 'self';` +
          "base-uri 'none';form-action 'none';frame-ancestors 'none'",
      );
      expect(Buffer.from(nonce, 'base64')).toHaveLength(16);
      expect(text.match(/<(script|link rel="stylesheet")[^>]*>/g)).toEqual([
        `<link rel="stylesheet" nonce="${nonce}" href="docs/swagger-ui.css">`,
        `<script nonce="${nonce}" src="docs/swagger-ui-bundle.js">`,
        `<script nonce="${nonce}" src="docs/start.js">`,
      ]);
      expect(text).not.toMatch(/<script[^>]*>[^<]|\son\w+=|style=|https?:/);
      nonces.push(nonce);
    }
    expect(new Set(nonces).size).toBe(3);
  });

  test('V4.1.1 each file says what it is, is kept by nobody, and lets a browser guess nothing', async () => {
    const types = ['text/html', 'text/javascript', 'text/css', 'text/javascript'];
    for (const [at, path] of FILES.entries()) {
      const { headers, text } = await sample.anonymous.get(path);
      expect([path, headers.get('content-type')]).toEqual([path, `${types[at]!}; charset=utf-8`]);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('cache-control')).toBe('no-store');
      expect(Number(headers.get('content-length'))).toBe(Buffer.byteLength(text));
    }
    const document = await sample.anonymous.get('/openapi.json');
    expect(document.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect((await sample.anonymous.send('HEAD', '/openapi.json')).status).toBe(200);
    expect((await sample.anonymous.post('/openapi.json', {})).status).toBe(405);
  });

  test('V5.3.2 no other file can be asked for, in whatever spelling', async () => {
    for (const path of [
      ...['/docs/index.html', '/docs/package.json', '/docs/swagger-ui.css.map', '/docs/oauth2-redirect.html'],
      ...['/docs/..%2Fpackage.json', '/docs/%2e%2e/package.json', '/docs//start.js', '/docs/start.js%00'],
    ]) {
      const { status, text } = await sample.anonymous.get(path);
      expect([path, [400, 404].includes(status)]).toEqual([path, true]);
      expect(text).not.toContain('swagger');
    }
  });
});

test('asked for with a slash at the end, where the adapter takes that for the same, the page finds its files', async () => {
  const { url, close } = await startDocumented(database, { openapi: { page: true } });
  try {
    for (const path of ['/docs/', '/docs/?x']) {
      const text = await (await fetch(url + path)).text();
      expect(text).toContain('src="start.js"');
      expect((await fetch(new URL('start.js', url + path))).status).toBe(200);
    }
  } finally {
    await close();
  }
});

test('V1.2.1 a title cannot become a part of the page', async () => {
  const title = '</title><script>alert(1)</script>"&';
  const { url, document, close } = await startDocumented(database, { openapi: { page: true, title } });
  try {
    const text = await (await fetch(`${url}/docs`)).text();
    expect(text).toContain(
      '<title>&#60;/title&#62;&#60;script&#62;alert(1)&#60;/script&#62;&#34;&#38;</title>',
    );
    expect(document.info.title).toBe(title);
  } finally {
    await close();
  }
});

describe('the documentation refuses to start', () => {
  const good = { title: 'Notes', version: '1' };
  test.each<[string, object, RegExp]>([
    ['without a title', { version: '1' }, /"title" is missing/],
    ['with an empty version', { ...good, version: ' ' }, /"version" is missing/],
    [
      'with a misspelt option',
      { ...good, acess: 'public' },
      /"acess" is no option; there are title, version/,
    ],
    [
      'with an access that is none',
      { ...good, access: 'everybody' },
      /"access" is 'public', 'authenticated' or/,
    ],
    ['with an empty access', { ...good, access: '' }, /"access" is/],
    ['with a page that is a text', { ...good, page: 'false' }, /"page" is true or false/],
    ['with a description that is none', { ...good, description: 1 }, /"description" is a text/],
  ])('%s', (_, options, message) => {
    expect(() => OpenApiModule.forRoot(options as OpenApiOptions)).toThrow(message);
  });

  test('not for an option that is undefined: it is left out', () => {
    expect(() => OpenApiModule.forRoot({ ...good, page: undefined })).not.toThrow();
  });

  test('with a permission that nobody declared', async () => {
    const started = startDocumented(database, { openapi: { access: 'notes:read' as never } });
    await expect(started).rejects.toThrow(
      /OpenApiController\.read .* demands "notes:read", which nobody declared/,
    );
  });

  test('without the edge, whose answers it describes', async () => {
    @Module({
      imports: [
        hostileModule({ databaseUrl: database.appUrl, auditUrl: database.auditUrl }),
        OpenApiModule.forRoot({ ...good, access: 'public' }),
      ],
    })
    class EdgelessModule {}
    const app = await NestFactory.create(EdgelessModule, { logger: false, abortOnError: false });
    await expect(app.init()).rejects.toThrow(/OpenApiModule refuses to start:\n.*HttpModule is missing/);
    await app.close();
  });
});

test('an application context without HTTP starts with it, and has no document', async () => {
  @Module({
    imports: [
      ZeroTrustModule.forRoot({
        database: { url: database.appUrl },
        encryption: { masterKey: MASTER_KEY },
        access: {},
        audit: { readerUrl: database.auditUrl },
        sessions: { issuer: 'https://notes.example.com', audience: 'https://notes.example.com' },
      }),
      OpenApiModule.forRoot({ title: 'Notes', version: '1' }),
    ],
  })
  class WorkerModule {}
  const context = await NestFactory.createApplicationContext(WorkerModule, {
    logger: false,
    abortOnError: false,
  });
  try {
    expect(() => context.get(OpenApiDocument).json).toThrow(/temporarily-unavailable/);
  } finally {
    await context.close();
  }
});
