import { Controller, Get, Module, Post, type INestApplication, type Type } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { Query, Resolver } from '@nestjs/graphql';
import { Test, type TestingModule } from '@nestjs/testing';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { AssertionError } from 'node:assert';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ReportOnly } from '../../src/core/report-only.js';
import { Authenticated, Public, RequireAssurance, RequirePermission } from '../../src/core/route-policy.js';
import { secureApplication } from '../../src/http/secure-application.js';
import { accessMatrixOf, expectMatrix } from '../../src/testing/access-matrix.expectation.js';
import {
  expectEveryRouteDeclared,
  type DeclaredRoutesOptions,
} from '../../src/testing/declared-routes.expectation.js';
import type { TestedApplication } from '../../src/testing/kit-provider.js';
import { publishedEvents } from '../../src/testing/published-events.js';
import {
  ZeroTrustTestingModule,
  type ZeroTrustTestingOptions,
} from '../../src/testing/zero-trust-testing.module.js';
import { ADAPTERS } from '../support/application.js';
import { newAdapter } from './tested.application.js';

@Controller('documents')
class DocumentsController {
  @Get()
  @RequirePermission('documents:read')
  list(): object {
    return [];
  }

  @Post()
  @RequirePermission('documents:write')
  @RequireAssurance({ acr: 'aal2', maxAgeSeconds: 600 })
  create(): object {
    return {};
  }

  @Get('me')
  @Authenticated()
  mine(): object {
    return [];
  }

  @Get('formats')
  @Public()
  formats(): object {
    return [];
  }
}

@Controller('documents-archive')
class ArchiveController {
  @Get()
  @RequirePermission('documents:share')
  list(): object {
    return [];
  }
}

const OPTIONS: ZeroTrustTestingOptions = {
  permissions: { documents: ['read', 'write', 'share'] },
  roles: {
    viewer: { permissions: ['documents:read'] },
    editor: { permissions: ['documents:write'], inherits: ['viewer'] },
    // Roles may be called so; the words of the table are no roles.
    public: { permissions: ['documents:read'] },
  },
};

const compiled = (
  classes: { controllers?: Type[]; providers?: Type[] },
  options: ZeroTrustTestingOptions = OPTIONS,
): Promise<TestingModule> => {
  @Module(classes)
  class FeatureModule {}
  return Test.createTestingModule({ imports: [ZeroTrustTestingModule.forRoot(options), FeatureModule] })
    .setLogger(false as never)
    .compile();
};

/** What it throws, which has to be an AssertionError: test runners show those with a difference. */
function failureOf(assertion: () => void): AssertionError {
  try {
    assertion();
  } catch (error) {
    if (error instanceof AssertionError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

describe('expectEveryRouteDeclared', () => {
  const faultsOf = (app: TestedApplication, options?: DeclaredRoutesOptions): readonly string[] =>
    failureOf(() => {
      expectEveryRouteDeclared(app, options);
    })
      .message.split('\n  - ')
      .slice(1);

  test('passes where everything is declared, before anything is initialised', async () => {
    expectEveryRouteDeclared(await compiled({ controllers: [DocumentsController] }));
  });

  test('V8.1.1 what is report-only is open to anybody, also where nobody declared it: both expectations say so', async () => {
    @Controller('cats')
    class CatsController {
      @Get()
      @ReportOnly()
      undeclared(): object {
        return [];
      }

      @Get('mine')
      @Authenticated()
      @ReportOnly()
      mine(): object {
        return [];
      }
    }
    const app = await compiled({ controllers: [CatsController] });
    expect(faultsOf(app, { publicRoutes: [] })).toEqual([
      expect.stringMatching(/^GET \/cats is reached by anybody/),
      expect.stringMatching(/^GET \/cats\/mine is reached by anybody/),
    ]);
    expectMatrix(app, { 'GET /cats': 'public', 'GET /cats/mine': 'public' });
  });

  test('RBAC-01 RBAC-10 RBAC-12 names each handler that nobody declared, on every transport, with the mend', async () => {
    @Controller('forgotten')
    class ForgottenController {
      @Get(':id')
      read(): object {
        return {};
      }

      @Post()
      @Public()
      @Authenticated()
      create(): object {
        return {};
      }

      @Get('misspelt')
      @RequirePermission('documents:raed' as 'documents:read')
      misspelt(): object {
        return {};
      }

      @MessagePattern('sum')
      sum(): number {
        return 0;
      }
    }
    @WebSocketGateway()
    class ForgottenGateway {
      @SubscribeMessage('news')
      news(): string {
        return '';
      }
    }
    @Resolver()
    class ForgottenResolver {
      @Query(() => String)
      secret(): string {
        return '';
      }
    }
    const app = await compiled({
      controllers: [ForgottenController, DocumentsController],
      providers: [ForgottenGateway, ForgottenResolver],
    });
    const mend = 'write @RequirePermission(…), @Authenticated() or @Public() on the method';
    expect(faultsOf(app)).toEqual([
      `ForgottenController.read (http GET /forgotten/:id) has no policy: ${mend}`,
      'ForgottenController.create (http POST /forgotten) has 2 policies (authenticated, public): keep exactly one',
      expect.stringMatching(/^ForgottenController\.misspelt .*"documents:raed", which nobody declared/),
      `ForgottenController.sum (rpc MESSAGE sum) has no policy: ${mend}`,
      `ForgottenGateway.news (ws MESSAGE news) has no policy: ${mend}`,
      `ForgottenResolver.secret (graphql QUERY secret) has no policy: ${mend}`,
    ]);
  });

  describe.each(ADAPTERS)('on %s', (adapter) => {
    const created = async (options?: ZeroTrustTestingOptions): Promise<INestApplication> => {
      const module = await compiled({ controllers: [DocumentsController] }, options);
      const app = module.createNestApplication(newAdapter(adapter), { logger: false });
      await secureApplication(app);
      return app;
    };
    const mount = (app: INestApplication, path: string): void => {
      const instance = app.getHttpAdapter().getInstance() as {
        get(path: string, handler: (...given: unknown[]) => void): void;
      };
      instance.get(path, () => undefined);
    };

    test('RBAC-01 names a route that was mounted on the adapter, before and after the application is initialised', async () => {
      const app = await created();
      try {
        expectEveryRouteDeclared(app);
        mount(app, '/docs-json');
        const fault = /^GET \/docs-json is served by the HTTP adapter itself, where no guard sees it: /;
        expect(faultsOf(app)).toEqual([expect.stringMatching(fault)]);
        await expect(app.init()).rejects.toThrow('/docs-json');
        expect(faultsOf(app)).toEqual([expect.stringMatching(fault)]);
      } finally {
        await app.close();
      }
    });

    test('names a reviewed route of the adapter that is not there', async () => {
      const adapterRoutes = [{ method: 'GET', path: '/gone', reason: 'was once' }];
      const app = await created({ ...OPTIONS, adapterRoutes });
      try {
        expect(faultsOf(app)).toEqual([
          'adapterRoutes names GET /gone, which is not there: remove the entry',
        ]);
      } finally {
        await app.close();
      }
    });
  });

  describe('with a reviewed list of public routes', () => {
    const FORMATS = { route: 'GET /documents/formats', reason: 'says nothing of anybody' };
    let app: TestingModule;
    let folder: string;
    beforeAll(async () => {
      app = await compiled({ controllers: [DocumentsController] });
      folder = await mkdtemp(join(tmpdir(), 'public-routes-'));
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));

    test('V8.1.1 passes when the list says exactly what anybody reaches, and why', () => {
      expectEveryRouteDeclared(app, { publicRoutes: [FORMATS] });
    });

    test('V8.1.1 fails for what is open and not listed, for what is stale and for what gives no reason', () => {
      expect(faultsOf(app, { publicRoutes: [] })).toEqual([
        expect.stringMatching(/^GET \/documents\/formats is reached by anybody: demand something/),
      ]);
      const stale = { route: 'GET /documents', reason: 'was open' };
      expect(faultsOf(app, { publicRoutes: [FORMATS, stale] })).toEqual([
        'publicRoutes names GET /documents, which nobody reaches unproved: remove the entry',
      ]);
      expect(faultsOf(app, { publicRoutes: [{ ...FORMATS, reason: ' ' }] })).toEqual([
        'publicRoutes: "GET /documents/formats" needs a reason',
      ]);
    });

    test('V8.1.1 reads the list of a file, as the command line writes it', async () => {
      const file = join(folder, 'zero-trust.routes.json');
      await writeFile(file, JSON.stringify({ public: [FORMATS] }));
      expectEveryRouteDeclared(app, { publicRoutes: file });
      await writeFile(file, JSON.stringify({ public: [] }));
      expect(faultsOf(app, { publicRoutes: file })).toHaveLength(1);
      expect(() => {
        expectEveryRouteDeclared(app, { publicRoutes: join(folder, 'other.json') });
      }).toThrow('other.json is not there');
    });

    test('a list that went missing on its way, or is none, is no list that was left out', () => {
      const lists = [undefined, {}, [{ route: 'GET /documents/formats' }], [FORMATS, FORMATS]];
      for (const publicRoutes of lists) {
        const options = { publicRoutes } as unknown as DeclaredRoutesOptions;
        expect(faultsOf(app, options)).toEqual([expect.stringMatching(/^publicRoutes: /)]);
      }
    });
  });
});

describe('expectMatrix', () => {
  let app: TestingModule;
  beforeAll(async () => {
    app = await compiled({ controllers: [ArchiveController, DocumentsController] });
  });
  const EXPECTED = {
    'GET /documents': ['viewer', 'editor', 'public'],
    'POST /documents': { by: ['editor'], assurance: 'aal2/600s' },
    'GET /documents/me': 'authenticated',
    'GET /documents/formats': 'public',
    'GET /documents-archive': [],
  } as const;
  const differences = (...given: [Parameters<typeof expectMatrix>[1], { under?: string }?]): string[] =>
    failureOf(() => {
      expectMatrix(app, ...given);
    })
      .message.split('\n')
      .slice(1);

  test('V8.1.1 passes for the whole table, in whatever order, before anything is initialised', () => {
    expectMatrix(app, EXPECTED);
  });

  test('V8.1.1 shows a role that came, one that went, and a way in that came or went', () => {
    expect(
      differences({
        'GET /documents': ['viewer', 'clerk', 'public'],
        'POST /documents': EXPECTED['POST /documents'],
        'DELETE /documents': ['editor'],
        'GET /documents/me': 'authenticated',
        'GET /documents/formats': 'public',
      }),
    ).toEqual([
      '- DELETE /documents: [editor]',
      '- GET /documents: [clerk, public, viewer]',
      '+ GET /documents: [editor, public, viewer]',
      '+ GET /documents-archive: []',
    ]);
  });

  test('V8.1.1 shows what is open to more than was expected, and no role passes for everybody', () => {
    expect(
      differences({
        ...EXPECTED,
        'GET /documents/formats': ['public'],
        'GET /documents/me': ['authenticated'],
        'GET /documents-archive': 'public',
      }),
    ).toEqual([
      '- GET /documents-archive: public',
      '+ GET /documents-archive: []',
      '- GET /documents/formats: [public]',
      '+ GET /documents/formats: public',
      '- GET /documents/me: [authenticated]',
      '+ GET /documents/me: authenticated',
    ]);
  });

  test('V8.4.2 shows an assurance that came, went or became another', () => {
    expect(differences({ ...EXPECTED, 'POST /documents': ['editor'] })).toEqual([
      '- POST /documents: [editor]',
      '+ POST /documents: [editor] (aal2/600s)',
    ]);
    expect(
      differences({
        ...EXPECTED,
        'POST /documents': { by: ['editor'], assurance: 'aal2' },
        'GET /documents/me': { by: 'authenticated', assurance: 'aal2' },
      }),
    ).toEqual([
      '- GET /documents/me: authenticated (aal2)',
      '+ GET /documents/me: authenticated',
      '- POST /documents: [editor] (aal2)',
      '+ POST /documents: [editor] (aal2/600s)',
    ]);
  });

  test('compares a part of the application where that is asked for, and no neighbour of it', () => {
    const { 'GET /documents-archive': archive, ...documents } = EXPECTED;
    expectMatrix(app, documents, { under: '/documents' });
    expectMatrix(app, { 'GET /documents-archive': archive }, { under: '/documents-archive' });
    expect(differences(EXPECTED, { under: '/documents/' })).toContain('- GET /documents-archive: []');
  });

  test('gives test runners both tables to show', () => {
    const { actual, expected } = failureOf(() => {
      expectMatrix(app, {}, { under: '/documents-archive' });
    });
    expect({ actual, expected }).toEqual({ actual: { 'GET /documents-archive': '[]' }, expected: {} });
  });

  test('RBAC-01 an undeclared way in is never what was expected', async () => {
    @Controller('bare')
    class BareController {
      @Get()
      read(): object {
        return {};
      }
    }
    const bare = await compiled({ controllers: [BareController] });
    for (const access of [[], 'public', 'authenticated'] as const) {
      const { message } = failureOf(() => {
        expectMatrix(bare, { 'GET /bare': access });
      });
      expect(message).toContain('+ GET /bare: undeclared');
    }
  });

  test('accessMatrixOf says the rows, with the roles that code declares', () => {
    expect(accessMatrixOf(app).find(({ path }) => path === '/documents-archive')).toEqual({
      transport: 'http',
      method: 'GET',
      path: '/documents-archive',
      handler: 'ArchiveController.list',
      policy: 'permission',
      permissions: ['documents:share'],
      roles: [],
    });
  });
});

test('an application without the kit is told so', async () => {
  const bare = await Test.createTestingModule({}).compile();
  expect(() => {
    expectEveryRouteDeclared(bare);
  }).toThrow('import ZeroTrustModule, AccessModule or ZeroTrustTestingModule');
  expect(() => accessMatrixOf(bare)).toThrow(TypeError);
  expect(() => publishedEvents(bare)).toThrow(TypeError);
});
