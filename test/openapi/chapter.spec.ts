import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { OpenApiDocument } from '../../src/openapi/openapi.document.js';
import { startApplication } from '../support/application.js';
import { createTestDatabase } from '../support/database.js';

const page = readFileSync(new URL('../../docs/openapi.md', import.meta.url), 'utf8');

test('docs/openapi.md shows an example that runs, and what the document says of it', async () => {
  const [shown] = [...page.matchAll(/^```ts\n([^]*?)^```/gm)].map(([, code]) => code);
  expect(shown).toBe(readFileSync(new URL('chapter.example.ts', import.meta.url), 'utf8'));

  const database = await createTestDatabase();
  process.env['DATABASE_URL'] = database.appUrl;
  process.env['DATABASE_AUDIT_URL'] = database.auditUrl;
  process.env['ZERO_TRUST_MASTER_KEY'] = randomBytes(32).toString('base64');
  const { AppModule } = await import('./chapter.example.js');
  for (const name of ['DATABASE_URL', 'DATABASE_AUDIT_URL', 'ZERO_TRUST_MASTER_KEY']) {
    Reflect.deleteProperty(process.env, name);
  }
  const { url, app, close } = await startApplication(AppModule);
  try {
    for (const path of ['/openapi.json', '/docs']) expect((await fetch(url + path)).status).toBe(401);
    const { paths } = JSON.parse(app.get(OpenApiDocument).json) as {
      paths: Record<string, { post: Record<string, unknown> }>;
    };
    const operation = paths['/documents']!.post;
    const rows = [...page.matchAll(/^\| `(x-[a-z-]+)` +\| `([[{][^`]+)` +\|/gm)];
    expect(rows.map(([, name]) => name)).toEqual(['x-required-permissions', 'x-required-assurance']);
    for (const [, name, value] of rows) expect(operation[name!]).toEqual(JSON.parse(value!));
  } finally {
    await close();
    await database.drop();
  }
});
