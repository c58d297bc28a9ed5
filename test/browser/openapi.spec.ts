import { Module } from '@nestjs/common';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AppModule } from '../../sample/src/app.module.js';
import { DevelopmentModule } from '../../sample/src/development.module.js';
import { OpenApiModule } from '../../src/openapi/openapi.module.js';
import { SessionsService } from '../../src/sessions/sessions.service.js';
import { ADAPTERS } from '../support/application.js';
import { startSample, type Sample } from '../support/sample.js';
import { launchChromium } from './chromium.js';
import { Sites } from './sites.js';

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
  return () => browser.close();
});

/** What a page asked for, and what the browser had against it. */
interface Watched {
  readonly page: Page;
  readonly requested: string[];
  readonly complaints: string[];
}

async function watch(context: BrowserContext): Promise<Watched> {
  const page = await context.newPage();
  const watched: Watched = { page, requested: [], complaints: [] };
  page.on('request', (request) => void watched.requested.push(request.url()));
  page.on('console', (line) => {
    if (['error', 'warning'].includes(line.type())) watched.complaints.push(line.text());
  });
  page.on('pageerror', (error) => void watched.complaints.push(String(error)));
  // Violations of some kinds are no line of the console.
  await page.exposeFunction('complain', (what: string) => void watched.complaints.push(what));
  await page.addInitScript(
    `addEventListener('securitypolicyviolation', (e) => complain(e.violatedDirective + ' ' + e.blockedURI))`,
  );
  return watched;
}

const operations = (page: Page): Promise<string[]> =>
  page.evaluate(
    `[...document.querySelectorAll('.opblock-summary')].map((each) =>
       each.querySelector('.opblock-summary-method').textContent + ' ' +
       each.querySelector('.opblock-summary-path').textContent.replaceAll('\\u200b', ''))`,
  );

describe.each(ADAPTERS)('the page of the documentation in a real browser, on %s', (adapter) => {
  let sample: Sample;
  let context: BrowserContext;
  let watched: Watched;
  beforeAll(async () => {
    sample = await startSample({ adapter, root: DevelopmentModule });
  });
  afterAll(() => sample.close());
  beforeEach(async () => {
    context = await browser.newContext({ viewport: { width: 1280, height: 1600 } });
    watched = await watch(context);
  });
  afterEach(() => context.close());

  async function documented(): Promise<string[]> {
    const { text } = await sample.anonymous.get('/openapi.json');
    const { paths } = JSON.parse(text) as { paths: Record<string, Record<string, unknown>> };
    return Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
  }

  test('V3.4.3 shows every operation of the document, from files of its own origin alone, and breaks no rule of its policy', async () => {
    const { page, requested, complaints } = watched;
    await page.goto(`${sample.url}/docs`);
    await page.waitForSelector('.opblock-summary');
    expect((await operations(page)).sort()).toEqual((await documented()).sort());
    await page.click('#operations-Invoices-InvoicesController_approve');
    await page.waitForSelector('.opblock-description');
    expect(await page.textContent('.opblock-description')).toContain('Demands invoices:approve.');
    expect(complaints).toEqual([]);
    expect(requested.filter((url) => !url.startsWith(`${sample.url}/`) && !url.startsWith('data:'))).toEqual(
      [],
    );
    const files = [
      '/docs',
      '/docs/swagger-ui.css',
      '/docs/swagger-ui-bundle.js',
      '/docs/start.js',
      '/openapi.json',
    ];
    expect(requested.filter((url) => !url.startsWith('data:'))).toEqual(
      files.map((each) => sample.url + each),
    );
  });

  test('V3.4.3 lets no script run that stands in the page, and none of another origin', async () => {
    const { page, complaints } = watched;
    await page.goto(`${sample.url}/docs`);
    await page.waitForSelector('.opblock-summary');
    await page.evaluate(`(() => {
      const inline = document.createElement('script');
      inline.textContent = 'window.ran = true';
      const foreign = document.createElement('script');
      foreign.src = 'https://evil.test/x.js';
      const drawn = document.createElement('img');
      drawn.setAttribute('onerror', 'window.ran = true');
      drawn.src = 'https://evil.test/x.png';
      document.body.append(inline, foreign, drawn);
    })()`);
    await expect
      .poll(() => complaints.join('\n'))
      .toMatch(/script-src-elem inline[^]*script-src-elem https:\/\/evil\.test/);
    await expect.poll(() => complaints.join('\n')).toMatch(/img-src https:\/\/evil\.test/);
    expect(await page.evaluate('window.ran')).toBeUndefined();
  });

  test('shows its own document whatever the query names, and sends a call of the reader to its own origin', async () => {
    const { page, requested, complaints } = watched;
    await page.goto(
      `${sample.url}/docs?url=https://evil.test/openapi.json&configUrl=https://evil.test/c.json`,
    );
    await page.waitForSelector('.opblock-summary');
    expect(await page.textContent('.info .title')).toContain('Client portal');
    await page.click('#operations-Health-HealthController_live');
    await page.click('.try-out__btn');
    await page.click('.btn.execute');
    await page.waitForSelector('.live-responses-table tbody .response-col_status');
    expect(await page.textContent('.live-responses-table tbody .response-col_status')).toContain('200');
    expect(requested).toContain(`${sample.url}/health/live`);
    expect(requested.filter((url) => url.startsWith('https://evil.test'))).toEqual([]);
    expect(complaints).toEqual([]);
  });
});

@Module({ imports: [AppModule, OpenApiModule.forRoot({ title: 'Closed', version: '1', page: true })] })
class ClosedModule {}

describe.each(ADAPTERS)('the page under the policy that it has when nothing is said, on %s', (adapter) => {
  test('opens for whoever may read the access matrix, by the cookie of the browser, and for nobody else', async () => {
    const sites = await Sites.open(() => Number(new URL(sample.url).port));
    const sample = await startSample({ adapter, root: ClosedModule });
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    const { page, complaints } = await watch(context);
    try {
      for (const [name, status] of [
        ['viewer', 403],
        ['admin', 200],
      ] as const) {
        await context.clearCookies();
        expect((await page.goto(`${sites.portal}/docs`))?.status()).toBe(401);
        const subject = await sample.accountId(name);
        const session = { subject, acr: 'aal1', amr: ['pwd'], delivery: 'cookie' } as const;
        const { accessToken: value } = await sample.app.get(SessionsService).open(session);
        const kept = { url: sites.portal, secure: true, httpOnly: true, sameSite: 'Lax' } as const;
        await context.addCookies([{ ...kept, name: '__Host-access', value }]);
        expect((await page.goto(`${sites.portal}/docs`))?.status()).toBe(status);
      }
      await page.waitForSelector('.opblock-summary');
      expect((await operations(page)).length).toBeGreaterThan(40);
      expect(complaints.filter((each) => !/status of 40[13]/.test(each))).toEqual([]);
    } finally {
      await context.close();
      await sites.close();
      await sample.close();
    }
  });
});
