import { Module, type DynamicModule } from '@nestjs/common';
import { KitModule } from '../core/kit-module.js';
import { documentController } from './document.controller.js';
import { OpenApiDocument } from './openapi.document.js';
import { OPENAPI_SETTINGS, resolveOpenApiOptions, type OpenApiOptions } from './openapi.options.js';
import { pageController } from './page.controller.js';

/**
 * Describes the application in OpenAPI 3.1 at `GET /openapi.json`, and on a page at `GET /docs` where that is asked
 * for. What a route demands is taken from its policy, what it takes in from the rules of its classes. Stands beside
 * `ZeroTrustModule`; needs `@nestjs/swagger`.
 */
@KitModule()
@Module({})
export class OpenApiModule {
  /**
   * Who may read is decided here and not by a factory: routes exist before any factory has run.
   *
   * @throws BootError when an option is wrong; it names the option and the mend.
   */
  static forRoot(options: OpenApiOptions): DynamicModule {
    const settings = resolveOpenApiOptions(options);
    return {
      module: OpenApiModule,
      controllers: [
        documentController(settings.access),
        ...(settings.page ? [pageController(settings.access)] : []),
      ],
      providers: [{ provide: OPENAPI_SETTINGS, useValue: settings }, OpenApiDocument],
      exports: [OpenApiDocument],
    };
  }
}
