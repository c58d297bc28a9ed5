import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import {
  ApplicationConfig,
  HttpAdapterHost,
  ModuleRef,
  ModulesContainer,
  type AbstractHttpAdapter,
} from '@nestjs/core';
import type { OpenAPIObject } from '@nestjs/swagger';
import { Resources } from '../access/objects/resources.js';
import { RouteInventory } from '../access/inventory/route-inventory.js';
import { BrowserCredentials } from '../core/browser-credentials.js';
import { BootError, ZeroTrustError } from '../core/zero-trust-error.js';
import { HttpModule } from '../http/http.module.js';
import { ThrottlingModule } from '../throttler/throttling.module.js';
import { assembleDocument } from './document-assembly.js';
import { OPENAPI_SETTINGS, type OpenApiSettings } from './openapi.options.js';

/** The document, made once when the application has booted: whoever reads it costs nothing. */
@Injectable()
export class OpenApiDocument implements OnApplicationBootstrap {
  #json: string | undefined;

  constructor(
    @Inject(OPENAPI_SETTINGS) private readonly settings: OpenApiSettings,
    private readonly inventory: RouteInventory,
    private readonly credentials: BrowserCredentials,
    private readonly module: ModuleRef,
    private readonly modules: ModulesContainer,
    private readonly config: ApplicationConfig,
    private readonly host: HttpAdapterHost,
  ) {}

  /** @throws BootError without HttpModule: what the document says of errors would not be so. */
  onApplicationBootstrap(): void {
    const adapter = this.host.httpAdapter as AbstractHttpAdapter | null | undefined;
    // A worker or a command serves nothing, and has nothing to describe.
    if (!adapter) return;
    if (!this.#has(HttpModule)) {
      throw new BootError('OpenApiModule', [
        'HttpModule is missing: import it, or ZeroTrustModule, which makes every error what the document says',
      ]);
    }
    this.#json = JSON.stringify(this.#assemble(adapter));
  }

  /** The document as it is served. @throws ZeroTrustError `temporarily-unavailable` before the application has booted. */
  get json(): string {
    if (this.#json !== undefined) return this.#json;
    throw new ZeroTrustError('temporarily-unavailable', {
      detail: 'the document is made when all have booted',
    });
  }

  #assemble(adapter: AbstractHttpAdapter): OpenAPIObject {
    return assembleDocument({
      settings: this.settings,
      routes: this.inventory.httpRoutes(),
      cookies: this.credentials.cookiesInUse,
      throttled: this.#has(ThrottlingModule),
      resolverOf: (resource) => this.module.get(Resources, { strict: false }).resolverOf(resource),
      nest: { modules: this.modules, config: this.config, adapter },
    });
  }

  #has(type: object): boolean {
    return [...this.modules.values()].some(({ metatype }) => metatype === type);
  }
}
