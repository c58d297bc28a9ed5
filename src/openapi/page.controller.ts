import {
  applyDecorators,
  Controller,
  Get,
  Header,
  Inject,
  Req,
  Res,
  VERSION_NEUTRAL,
  type Type,
} from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { accessPolicy } from './document.controller.js';
import { OPENAPI_SETTINGS, type DocumentAccess, type OpenApiSettings } from './openapi.options.js';
import { makeNonce, pageCsp, pageHtml, START_SCRIPT, swaggerUiFile } from './page-files.js';

/** What the reply of Express and of Fastify have in common. */
interface Reply {
  header(name: string, value: string): unknown;
}

/** The page that shows the document, and its files one by one: no route of it takes a name from the caller. */
export function pageController(access: DocumentAccess): Type {
  const file = (path: string, type: string): MethodDecorator =>
    applyDecorators(Get(path), Header('Content-Type', `${type}; charset=utf-8`), accessPolicy(access));

  @ApiExcludeController()
  @Controller({ version: VERSION_NEUTRAL })
  class OpenApiPageController {
    readonly #css = swaggerUiFile('swagger-ui.css');
    readonly #bundle = swaggerUiFile('swagger-ui-bundle.js');

    constructor(@Inject(OPENAPI_SETTINGS) private readonly settings: OpenApiSettings) {}

    @file('docs', 'text/html')
    page(@Req() { url }: { readonly url: string }, @Res({ passthrough: true }) reply: Reply): string {
      const nonce = makeNonce();
      reply.header('Content-Security-Policy', pageCsp(nonce));
      return pageHtml(this.settings.title, /^[^?]*\/(?:\?|$)/.test(url) ? '' : 'docs/', nonce);
    }

    @file('docs/start.js', 'text/javascript')
    start(): string {
      return START_SCRIPT;
    }

    @file('docs/swagger-ui.css', 'text/css')
    css(): string {
      return this.#css;
    }

    @file('docs/swagger-ui-bundle.js', 'text/javascript')
    bundle(): string {
      return this.#bundle;
    }
  }
  return OpenApiPageController;
}
