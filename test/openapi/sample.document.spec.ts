import { Validator } from '@seriousme/openapi-schema-validator';
import type { OpenAPIObject } from '@nestjs/swagger';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DevelopmentModule } from '../../sample/src/development.module.js';
import type { AccessMatrixRow } from '../../src/access/inventory/access-matrix.js';
import { problemOf } from '../../src/http/problem-document.js';
import { ADAPTERS } from '../support/application.js';
import { startSample, type Sample } from '../support/sample.js';
import { operationOf, operationsOf } from './documented.application.js';

/** What is served for the page alone, and told of nowhere in the document. */
const PAGE = [
  'GET /docs',
  'GET /docs/start.js',
  'GET /docs/swagger-ui-bundle.js',
  'GET /docs/swagger-ui.css',
];
const UNPROVED = '00000000-0000-4000-8000-000000000000';

const template = (path: string): string => path.replace(/:(\w+)/g, '{$1}');

describe.each(ADAPTERS)('the document of the sample on %s', (adapter) => {
  let sample: Sample;
  let document: OpenAPIObject;
  let routes: readonly AccessMatrixRow[];
  let ajv: Ajv2020;
  beforeAll(async () => {
    sample = await startSample({ adapter, root: DevelopmentModule });
    document = (await sample.anonymous.get('/openapi.json')).body as OpenAPIObject;
    const admin = await sample.signIn('admin');
    ({ routes } = (await admin.get('/admin/access/routes')).body as { routes: AccessMatrixRow[] });
    ajv = new Ajv2020({ strict: true, strictTypes: false, allErrors: true });
    ajv.addFormat('uuid', /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i);
    ajv.addFormat('uri', /^[a-z]+:\S+$/);
    ajv.addFormat('email', /^[^@\s]+@[^@\s]+$/);
    ajv.addVocabulary(['components']);
    // Of the document around it a schema sees what it refers to.
    ajv.addSchema(
      { $id: 'https://example.test/openapi.json', components: document.components },
      undefined,
      true,
    );
  });
  afterAll(() => sample.close());

  const compiled = (name: string): ReturnType<Ajv2020['compile']> =>
    ajv.compile({ $ref: `https://example.test/openapi.json#/components/schemas/${name}` });

  test('is valid OpenAPI 3.1 by the schema that the OpenAPI Initiative publishes, and every schema in it is one', async () => {
    const validator = new Validator();
    expect(await validator.validate(structuredClone(document) as never)).toEqual({ valid: true });
    expect([document.openapi, validator.version]).toEqual(['3.1.1', '3.1']);
    const broken = { ...structuredClone(document), paths: { '/x': { get: { responses: { 200: {} } } } } };
    expect((await new Validator().validate(broken as never)).valid).toBe(false);
    const names = Object.keys(document.components!.schemas!);
    expect(names.length).toBeGreaterThan(10);
    for (const name of names) expect(compiled(name), name).toBeTypeOf('function');
  });

  test('V8.1.1 has each route of the access matrix and no other, with the permission and the assurance that the matrix says', () => {
    const served = routes.map(({ method, path }) => `${method} ${template(path)}`);
    expect(served.length).toBeGreaterThan(40);
    expect([...operationsOf(document), ...PAGE].sort()).toEqual([...served].sort());
    for (const { method, path, policy, permissions, object, assurance } of routes) {
      if (PAGE.includes(`${method} ${path}`)) continue;
      const operation = operationOf(document, method.toLowerCase(), template(path));
      const demanded = operation['x-required-assurance'] as
        { acr: string; maxAgeSeconds: number } | undefined;
      const open = policy === 'public' ? [] : [{ bearer: [] }, { cookie: [] }];
      expect([path, operation.security]).toEqual([path, open]);
      expect([path, operation['x-required-permissions'] ?? []]).toEqual([path, permissions]);
      expect([path, demanded && `${demanded.acr}/${demanded.maxAgeSeconds}s`]).toEqual([path, assurance]);
      expect([path, operation['x-required-object'] === undefined]).toEqual([path, object === undefined]);
      for (const permission of permissions) expect(operation.description).toContain(`\`${permission}\``);
      if (demanded) expect(operation.description).toContain(`at \`${demanded.acr}\` not longer than`);
    }
  });

  test('V8.1.1 says which objects are decided on, by which rule, and takes their ids from what loads them', () => {
    const item = operationOf(document, 'get', '/documents/{id}');
    expect(item['x-required-object']).toEqual({ type: 'document', rule: 'owned or shared', of: 'one' });
    expect(item.description).toContain('Decided on the document itself, by the rule "owned or shared".');
    const list = operationOf(document, 'get', '/documents');
    expect(list['x-required-object']).toEqual({ type: 'document', rule: 'owned or shared', of: 'list' });
    expect(list.description).toContain('Lists each document that the rule "owned or shared" lets through.');
  });

  test('names its two ways of proof, and the cookie as the browser keeps it', () => {
    expect(document.components!.securitySchemes).toMatchObject({
      bearer: { type: 'http', scheme: 'bearer' },
      cookie: { type: 'apiKey', in: 'cookie', name: '__Host-access' },
    });
  });

  test('gives every operation the refusals that it can meet, each in the one shape of a problem', () => {
    const statuses = (method: string, path: string): string =>
      Object.keys(operationOf(document, method, path).responses).join(' ');
    expect(statuses('get', '/health/live')).toBe('200 400 429 503 default');
    expect(statuses('get', '/auth/me')).toBe('200 400 401 429 503 default');
    expect(statuses('get', '/documents')).toBe('200 400 401 403 429 503 default');
    expect(statuses('get', '/documents/{id}')).toBe('200 400 401 403 404 429 503 default');
    expect(statuses('patch', '/documents/{id}')).toBe('200 400 401 403 404 413 415 429 503 default');
    expect(statuses('post', '/auth/login')).toBe('200 400 403 413 415 429 503 default');
    expect(statuses('post', '/auth/logout/all')).toBe('204 400 401 403 429 503 default');
    const responses = document.components!.responses as Record<
      string,
      { content: unknown; headers?: object }
    >;
    for (const { content } of Object.values(responses)) {
      expect(content).toEqual({
        'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
      });
    }
    expect(Object.keys(responses['Unauthenticated']!.headers!)).toEqual(['WWW-Authenticate']);
    expect(Object.keys(responses['TooManyRequests']!.headers!)).toEqual([
      'Retry-After',
      'RateLimit',
      'RateLimit-Policy',
    ]);
    expect(Object.keys(responses['Unavailable']!.headers!)).toEqual(['Retry-After']);
  });

  test('V16.5.1 says of a problem what the edge makes of every error', () => {
    const isProblem = compiled('Problem');
    const { properties, required } = document.components!.schemas!['Problem'] as {
      properties: object;
      required: string[];
    };
    const made = problemOf(new Error('x'), UNPROVED).document;
    expect(Object.keys(made)).toEqual(required);
    expect(Object.keys(properties)).toEqual([...required, 'errors']);
    expect(isProblem(made)).toBe(true);
    expect(isProblem({ ...made, code: 'no-such-code' })).toBe(false);
  });

  test('is what is answered: whoever proves nothing gets of each operation a refusal that it names', async () => {
    const isProblem = compiled('Problem');
    for (const { method, path } of routes) {
      const operation = document.paths[template(path)]?.[method.toLowerCase() as 'get'];
      if (!operation) continue;
      const concrete = path.replace(':name', 'viewer').replace(':id', UNPROVED);
      const answer = await sample.anonymous.send(method, concrete);
      const { status, headers } = answer;
      const what = `${method} ${path}: ${status}`;
      const isProved = (operation.security ?? []).length > 0;
      if (isProved) expect(status, what).toBe(401);
      if (status < 400) {
        expect(Object.keys(operation.responses), what).toContain(String(status));
        continue;
      }
      expect(isProblem(answer.body), what).toBe(true);
      expect(headers.get('content-type'), what).toMatch(/^application\/problem\+json/);
      if (status === 401 && isProved) expect(headers.get('www-authenticate'), what).not.toBeNull();
    }
  });

  test('V2.1.1 says of each body what is checked: every field, its bounds, whether it must be there, and that there is no other', async () => {
    const clerk = await sample.signIn('clerk');
    const good = { clientName: 'ACME', iban: 'DE89370400440532013000', amountCents: 5, currency: 'EUR' };
    const isInvoice = compiled('CreateInvoiceDto');
    for (const body of [
      good,
      { ...good, more: 1 },
      { ...good, clientName: '' },
      { ...good, clientName: 'x'.repeat(201) },
      { ...good, amountCents: 0 },
      { ...good, amountCents: 1.5 },
      { ...good, amountCents: '5' },
      { ...good, currency: 'eur' },
      { clientName: 'ACME' },
    ]) {
      const { status } = await clerk.post('/invoices', body);
      expect([body, isInvoice(body)]).toEqual([body, status === 201]);
    }
    expect(operationOf(document, 'post', '/invoices').requestBody).toEqual({
      required: true,
      content: { 'application/json': { schema: { $ref: '#/components/schemas/CreateInvoiceDto' } } },
    });
    expect(operationOf(document, 'post', '/auth/refresh').requestBody).toMatchObject({ required: false });
  });

  test('V2.1.1 V1.3.3 says of every field of a body, a query and a path its type and where it ends', () => {
    const { schemas = {} } = document.components!;
    const bodies = Object.entries(schemas).flatMap(([name, schema]) => {
      if (name === 'Problem') return [];
      const { properties, additionalProperties } = schema as {
        properties: object;
        additionalProperties: unknown;
      };
      expect([name, additionalProperties]).toEqual([name, false]);
      return Object.entries(properties).map(
        ([property, said]) => [`${name}.${property}`, said as object] as const,
      );
    });
    const parameters = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.values(methods as Record<string, { parameters: { name: string; schema: object }[] }>).flatMap(
        (each) => each.parameters.map(({ name, schema }) => [`${path} ${name}`, schema] as const),
      ),
    );
    expect([bodies.length, parameters.length].map((count) => count > 20)).toEqual([true, true]);
    const isBounded = (schema: object): boolean => {
      const { type, items, maxItems, ...said } = schema as Record<string, unknown>;
      if (type === 'array') return maxItems !== undefined && isBounded(items as object);
      const ends = ['maxLength', 'pattern', 'enum', 'maximum'].some((keyword) => keyword in said);
      return typeof type === 'string' && (ends || said['format'] === 'uuid');
    };
    expect(
      [...bodies, ...parameters].filter(([, schema]) => !isBounded(schema)).map(([name]) => name),
    ).toEqual([]);
    expect([{ type: 'string' }, { maxLength: 5 }, { type: 'array', items: {} }].map(isBounded)).not.toContain(
      true,
    );
  });

  test('says of each name in a path and of each query what is checked', () => {
    expect(operationOf(document, 'get', '/documents/{id}').parameters).toEqual([
      { name: 'id', in: 'path', required: true, schema: { type: 'string', format: 'uuid' } },
    ]);
    expect(operationOf(document, 'get', '/admin/roles/{name}').parameters).toEqual([
      {
        name: 'name',
        in: 'path',
        required: true,
        description: 'must be lower-case words joined by "-"',
        schema: { type: 'string', maxLength: 64, pattern: '^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$' },
      },
    ]);
    expect(operationOf(document, 'get', '/invoices').parameters).toEqual([
      { name: 'after', in: 'query', required: false, schema: { type: 'string', format: 'uuid' } },
      {
        name: 'limit',
        in: 'query',
        required: false,
        description: 'must be a whole number from 1 to 100',
        schema: { type: 'string', pattern: '^(100|[1-9]\\d?)$' },
      },
    ]);
  });

  test('names no example, no default and no address of the machine', () => {
    const text = JSON.stringify(document);
    expect(text).not.toMatch(/127\.0\.0\.1|localhost|postgres|node_modules|\.example\.test|"default":[^{]/);
    expect(document.servers).toBeUndefined();
  });

  test('gives each operation a name that no other has', () => {
    const ids = Object.values(document.paths).flatMap((methods) =>
      Object.values(methods as Record<string, { operationId: string }>).map(({ operationId }) => operationId),
    );
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toContain('InvoicesController_approve');
  });
});

test('V13.4.5 the sample has neither document nor page unless it is in development', async () => {
  const sample = await startSample();
  try {
    for (const path of ['/openapi.json', '/docs', '/docs/', '/docs/start.js', '/docs/swagger-ui-bundle.js']) {
      expect([path, (await sample.anonymous.get(path)).status]).toEqual([path, 404]);
    }
  } finally {
    await sample.close();
  }
});
