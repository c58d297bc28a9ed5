import { Global, Module } from '@nestjs/common';
import type { PublicRouteDeclaration } from 'nestjs-zero-trust';
import { OpenApiModule } from 'nestjs-zero-trust/openapi';
import { AppModule } from './app.module.js';
import { FURTHER_PUBLIC_ROUTES } from './public-routes.js';

const DOCUMENTATION: readonly PublicRouteDeclaration[] = [
  '/docs',
  '/docs/start.js',
  '/docs/swagger-ui-bundle.js',
  '/docs/swagger-ui.css',
  '/openapi.json',
].map((path) => ({
  route: `GET ${path}`,
  reason: 'Documentation of a service that runs on a laptop alone.',
}));

/** The service on a laptop: with its document at `/openapi.json` and a page at `/docs`, open to whoever tries it. */
@Global()
@Module({
  providers: [{ provide: FURTHER_PUBLIC_ROUTES, useValue: DOCUMENTATION }],
  exports: [FURTHER_PUBLIC_ROUTES],
  imports: [
    AppModule,
    OpenApiModule.forRoot({
      title: 'Client portal',
      version: '0.1.0',
      description: 'The sample service of nestjs-zero-trust: documents that people share, and invoices.',
      access: 'public',
      page: true,
    }),
  ],
})
export class DevelopmentModule {}
