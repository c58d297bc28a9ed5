import {
  Controller,
  Get,
  Module,
  Version,
  VERSION_NEUTRAL,
  VersioningType,
  type INestApplication,
  type VersioningOptions,
} from '@nestjs/common';
import { ADAPTERS } from '../support/hostile.application.js';
import type { Built, Shape } from './shape.js';

function build(configure: (app: INestApplication) => unknown): Built {
  @Controller({ path: 'cats', version: ['1', '2'] })
  class CatsController {
    @Get()
    findAll(): string {
      return 'cats of 1 and 2';
    }

    @Version('3')
    @Get()
    findAllAgain(): string {
      return 'cats of 3';
    }
  }

  @Controller({ path: 'dogs', version: VERSION_NEUTRAL })
  class DogsController {
    @Get(':id')
    findOne(): string {
      return 'a dog';
    }
  }

  @Controller()
  class HealthController {
    @Get(['health', 'alive'])
    health(): string {
      return 'alive';
    }
  }

  @Module({ controllers: [CatsController, DogsController, HealthController] })
  class AppModule {}
  return { module: AppModule, classes: [CatsController, DogsController, HealthController], configure };
}

const shape = (
  name: string,
  configure: (app: INestApplication) => unknown,
  ways: readonly string[],
): Shape => ({
  proves: 'RBAC-06 RBAC-07',
  name: `versioned controllers: ${name}`,
  adapters: ADAPTERS,
  build: () => build(configure),
  ways,
});

/** Versions that no path shows. */
const byHeader = (name: string, options: VersioningOptions): Shape =>
  shape(name, (app) => app.enableVersioning(options), [
    'CatsController.findAll (http GET /cats)',
    'CatsController.findAll (http GET /cats)',
    'CatsController.findAllAgain (http GET /cats)',
    'DogsController.findOne (http GET /dogs/:id)',
    'HealthController.health (http GET /health)',
    'HealthController.health (http GET /alive)',
  ]);

export const versionedShapes: readonly Shape[] = [
  shape('URI', (app) => app.enableVersioning({ type: VersioningType.URI }), [
    'CatsController.findAll (http GET /v1/cats)',
    'CatsController.findAll (http GET /v2/cats)',
    'CatsController.findAllAgain (http GET /v3/cats)',
    'DogsController.findOne (http GET /dogs/:id)',
    'HealthController.health (http GET /health)',
    'HealthController.health (http GET /alive)',
  ]),
  shape(
    'URI below a prefix with exclusions',
    (app) =>
      app.setGlobalPrefix('api', { exclude: ['health', 'cats'] }).enableVersioning({
        type: VersioningType.URI,
        prefix: 'version-',
        defaultVersion: ['1', VERSION_NEUTRAL],
      }),
    [
      'CatsController.findAll (http GET /version-1/cats)',
      'CatsController.findAll (http GET /version-2/cats)',
      'CatsController.findAllAgain (http GET /version-3/cats)',
      'DogsController.findOne (http GET /api/dogs/:id)',
      'HealthController.health (http GET /version-1/health)',
      'HealthController.health (http GET /health)',
      'HealthController.health (http GET /api/version-1/alive)',
      'HealthController.health (http GET /api/alive)',
    ],
  ),
  byHeader('header', { type: VersioningType.HEADER, header: 'x-version' }),
  byHeader('media type', { type: VersioningType.MEDIA_TYPE, key: 'v=' }),
];
