import { Controller, Get, Header, VERSION_NEUTRAL, type Type } from '@nestjs/common';
import { Authenticated, Public, RequirePermission } from '../core/route-policy.js';
import { OpenApiDocument } from './openapi.document.js';
import type { DocumentAccess } from './openapi.options.js';

/** The mark of whoever may read the document; a permission is looked up in the catalogue when the application boots. */
export function accessPolicy(access: DocumentAccess): MethodDecorator {
  if (access === 'public') return Public();
  return access === 'authenticated' ? Authenticated() : RequirePermission(access);
}

/** A controller like any other, with the policy that the application chose: `SwaggerModule.setup` passes by every guard. */
export function documentController(access: DocumentAccess): Type {
  @Controller({ version: VERSION_NEUTRAL })
  class OpenApiController {
    constructor(private readonly document: OpenApiDocument) {}

    @Get('openapi.json')
    @Header('Content-Type', 'application/json; charset=utf-8')
    @accessPolicy(access)
    read(): string {
      return this.document.json;
    }
  }
  return OpenApiController;
}
