// The door of `nestjs-zero-trust/openapi`: an optional part, for whoever has @nestjs/swagger.
export { OpenApiDocument } from './openapi.document.js';
export { OpenApiModule } from './openapi.module.js';
export { type DocumentAccess, type OpenApiOptions } from './openapi.options.js';
