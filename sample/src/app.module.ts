import { Module } from '@nestjs/common';
import { ZeroTrustModule, type ZeroTrustOptions } from 'nestjs-zero-trust';
import { DocumentsModule } from './documents/documents.module.js';
import { InvoicesModule } from './invoices/invoices.module.js';
import { permissions, roles } from './permissions.js';
import { readSettings, type Settings } from './settings.js';

@Module({
  imports: [
    ZeroTrustModule.forRootAsync({ useFactory: () => zeroTrustOptions(readSettings()) }),
    DocumentsModule,
    InvoicesModule,
  ],
})
export class AppModule {}

function zeroTrustOptions(settings: Settings): ZeroTrustOptions {
  return {
    database: { url: settings.databaseUrl, tlsCa: settings.databaseCa },
    encryption: { masterKey: settings.masterKey },
    http: { corsOrigins: settings.corsOrigins, trustedProxies: settings.trustedProxies },
    access: { permissions, roles },
    audit: { readerUrl: settings.databaseAuditUrl },
    sessions: { issuer: settings.publicUrl, audience: settings.publicUrl },
    identity: { productName: 'Client portal' },
  };
}
