import { Module } from '@nestjs/common';
import { OpenApiModule } from 'nestjs-zero-trust/openapi';
import { AppModule } from './app.module.js';

/** The service on a laptop: with its document at `/openapi.json` and a page at `/docs`, open to whoever tries it. */
@Module({
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
