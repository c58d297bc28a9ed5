import { Controller, Get, Module, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  definePermissions,
  Public,
  RequirePermission,
  secureApplication,
  ZeroTrustModule,
} from 'nestjs-zero-trust';

const permissions = definePermissions({ documents: ['read', 'write'] });

@Controller('documents')
class DocumentsController {
  @Get()
  @RequirePermission('documents:read')
  list(): readonly string[] {
    return [];
  }

  @Get('about')
  @Public()
  about(): string {
    return 'about';
  }
}

@Module({
  imports: [
    ZeroTrustModule.forRootAsync({
      useFactory: () => ({
        database: { url: process.env['DATABASE_URL'] ?? '' },
        encryption: { masterKey: process.env['ZERO_TRUST_MASTER_KEY'] ?? '' },
        audit: { readerUrl: process.env['DATABASE_AUDIT_URL'] ?? '' },
        access: {
          permissions,
          roles: {
            reader: { permissions: ['documents:read'] },
            author: { permissions: ['documents:write'], inherits: ['reader'], mayGrant: ['reader'] },
          },
        },
        sessions: { issuer: 'https://reports.example.test', audience: 'https://reports.example.test' },
      }),
    }),
  ],
  controllers: [DocumentsController],
})
export class AppModule {}

/** Sets what only the application itself can set, as a main.ts does before it listens. */
export async function createApplication(): Promise<INestApplication> {
  // Loading may print whatever it likes: results alone belong to standard output.
  process.stdout.write('starting\n');
  const app = await NestFactory.create(AppModule, { abortOnError: false, logger: false });
  app.setGlobalPrefix('api');
  await secureApplication(app);
  return app;
}

export const port = 3000;
export const notAnApplication = (): object => ({});
export const failing = (): never => {
  throw new Error('the licence:\n  - has ended\n  - and was lost');
};
