import {
  All,
  Controller,
  Get,
  Post,
  RequestMethod,
  Version,
  VERSION_NEUTRAL,
  VersioningType,
  type Type,
} from '@nestjs/common';
import { MODULE_PATH, PATH_METADATA } from '@nestjs/common/constants.js';
import { ApplicationConfig } from '@nestjs/core';
import { describe, expect, test } from 'vitest';
import { httpHandlersOf } from '../../../src/access/inventory/http.handlers.js';
import type { HandlerHost } from '../../../src/access/inventory/route-entry.js';
import { Authenticated, Public } from '../../../src/core/route-policy.js';

const APPLICATION = 'application-1';
const hostOf = (type: Type): HandlerHost => ({
  name: type.name,
  type,
  prototype: type.prototype as Readonly<Record<string, unknown>>,
  instance: undefined,
});

/** Every way in to a controller, as `METHOD path version on host`. */
function waysInto(
  type: Type,
  configure: (config: ApplicationConfig) => void = () => undefined,
  module: Type = class {},
): string[] {
  const config = new ApplicationConfig();
  configure(config);
  return httpHandlersOf(hostOf(type), { type: module, applicationId: APPLICATION }, config).map(
    ({ method, path, version, host }) =>
      [
        method,
        path,
        ...(version === undefined ? [] : [`v${version}`]),
        ...(host === undefined ? [] : [`on ${host}`]),
      ].join(' '),
  );
}

@Controller('cats')
class CatsController {
  @Get()
  @Authenticated()
  list(): string {
    return 'list';
  }
  @All(['/any', 'every', '/any'])
  @Public()
  any(): string {
    return 'any';
  }
  notAHandler(): string {
    return 'nothing';
  }
}

describe('the HTTP routes of a controller', () => {
  test('RBAC-06 are its marked methods, each with its policy, and nothing that is not there is said of them', () => {
    const entries = httpHandlersOf(
      hostOf(CatsController),
      { type: class {}, applicationId: APPLICATION },
      new ApplicationConfig(),
    );
    expect(entries[0]).toStrictEqual({
      transport: 'http',
      method: 'GET',
      path: '/cats',
      className: 'CatsController',
      handlerName: 'list',
      policy: { kind: 'authenticated' },
    });
    expect(waysInto(CatsController)).toEqual(['GET /cats', 'ALL /cats/any', 'ALL /cats/every']);
  });

  test('RBAC-06 are there once for each path of the class and of the method, with a slash or without', () => {
    @Controller(['/kittens', 'cats'])
    class ManyController {
      @Post(['/new', 'born'])
      create(): string {
        return '';
      }
    }
    expect(waysInto(ManyController)).toEqual([
      'POST /kittens/new',
      'POST /kittens/born',
      'POST /cats/new',
      'POST /cats/born',
    ]);
  });

  test('RBAC-06 stand at the root where the class has no path, or none that is a text', () => {
    class Bare {
      @Get('a')
      a(): string {
        return '';
      }
    }
    @Controller()
    class Rooted {
      @Get()
      a(): string {
        return '';
      }
    }
    Reflect.defineMetadata(PATH_METADATA, /a/, Rooted);
    expect(waysInto(Bare)).toEqual(['GET /a']);
    expect(waysInto(Rooted)).toEqual(['GET /']);
  });

  test('RBAC-06 answer GET where no method is named, as Nest serves them', () => {
    class Bare {
      read(): string {
        return '';
      }
    }
    Reflect.defineMetadata(PATH_METADATA, 'bare', Bare.prototype.read);
    expect(waysInto(Bare)).toEqual(['GET /bare']);
  });
});

describe('a prefix', () => {
  test.each([['api'], ['/api']])('RBAC-06 of the application stands before every path: %s', (prefix) => {
    expect(
      waysInto(CatsController, (config) => {
        config.setGlobalPrefix(prefix);
      }),
    ).toEqual(['GET /api/cats', 'ALL /api/cats/any', 'ALL /api/cats/every']);
  });

  test('RBAC-06 leaves out what it excludes, by method too', () => {
    expect(
      waysInto(CatsController, (config) => {
        config.setGlobalPrefix('api');
        config.setGlobalPrefixOptions({
          exclude: [{ path: '/cats', pathRegex: /^\/cats\/?$/, requestMethod: RequestMethod.GET }],
        });
      }),
    ).toEqual(['GET /cats', 'ALL /api/cats/any', 'ALL /api/cats/every']);
  });

  test('RBAC-06 of a module stands before the path of its controllers, that of this application first', () => {
    class ShopModule {}
    Reflect.defineMetadata(MODULE_PATH, '/shop', ShopModule);
    expect(waysInto(CatsController, undefined, ShopModule)[0]).toBe('GET /shop/cats');
    Reflect.defineMetadata(MODULE_PATH + 'another', '/other', ShopModule);
    expect(waysInto(CatsController, undefined, ShopModule)[0]).toBe('GET /shop/cats');
    Reflect.defineMetadata(MODULE_PATH + APPLICATION, '/market', ShopModule);
    expect(waysInto(CatsController, undefined, ShopModule)[0]).toBe('GET /market/cats');
  });
});

@Controller({ path: 'cats', version: ['1', VERSION_NEUTRAL] })
class VersionedController {
  @Get()
  list(): string {
    return '';
  }
  @Get('new')
  @Version('2')
  again(): string {
    return '';
  }
}

describe('versions', () => {
  const inUri = (config: ApplicationConfig): void => {
    config.enableVersioning({ type: VersioningType.URI, defaultVersion: '7' });
  };

  test('RBAC-06 are ways in of their own: those of the method, else of the class, else the default', () => {
    expect(waysInto(VersionedController, inUri)).toEqual([
      'GET /v1/cats v1',
      'GET /cats vneutral',
      'GET /v2/cats/new v2',
    ]);
    expect(waysInto(CatsController, inUri)[0]).toBe('GET /v7/cats v7');
  });

  test('RBAC-06 are none where the application has none, whatever the handler says', () => {
    expect(waysInto(VersionedController)).toEqual(['GET /cats', 'GET /cats/new']);
  });

  test('RBAC-06 are none of a handler that names none, where there is no default', () => {
    expect(
      waysInto(CatsController, (config) => {
        config.enableVersioning({ type: VersioningType.HEADER, header: 'x-version' });
      })[0],
    ).toBe('GET /cats');
  });
});

describe('a host', () => {
  test.each<[string | RegExp | (string | RegExp)[], string]>([
    [':account.example.test', ':account.example.test'],
    [['a.example.test', /b/], 'a.example.test, /b/'],
    [/^c/, '/^c/'],
  ])('RBAC-06 is named as it is written: %s', (host, named) => {
    @Controller({ path: 'account', host })
    class HostController {
      @Get()
      read(): string {
        return '';
      }
    }
    expect(waysInto(HostController)).toEqual([`GET /account on ${named}`]);
  });
});
