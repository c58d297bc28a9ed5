import { Controller, Get, Module } from '@nestjs/common';
import { definePermissions, Public, ReportOnly, RequirePermission, ZeroTrustModule } from 'nestjs-zero-trust';

const permissions = definePermissions({ documents: ['read', 'write'] });

@Controller('documents')
class DocumentsController {
  @Get('undeclared')
  undeclared(): string {
    return 'undeclared';
  }

  @Get('read')
  @RequirePermission('documents:read')
  read(): string {
    return 'read';
  }

  @Get('about|us')
  @Public()
  about(): string {
    return 'about';
  }
}

@Controller('notes')
class NotesController {
  @ReportOnly()
  @Get('reported')
  @RequirePermission('documents:write')
  reported(): string {
    return 'reported';
  }

  @Get('enforced')
  @RequirePermission('documents:read')
  enforced(): string {
    return 'enforced';
  }
}

@Module({ controllers: [DocumentsController] })
class DocumentsModule {}

@Module({
  imports: [
    ZeroTrustModule.forRootAsync({
      useFactory: () => ({
        database: { url: process.env['DATABASE_URL'] ?? '' },
        encryption: { masterKey: process.env['ZERO_TRUST_MASTER_KEY'] ?? '' },
        audit: { readerUrl: process.env['DATABASE_AUDIT_URL'] ?? '' },
        access: { permissions, reportOnly: { modules: [DocumentsModule] } },
        sessions: { issuer: 'https://portal.example.test', audience: 'portal' },
      }),
    }),
    DocumentsModule,
  ],
  controllers: [NotesController],
})
export class AppModule {}
