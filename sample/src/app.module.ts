import { Module } from '@nestjs/common';
import { ZeroTrustModule, type PublicRouteDeclaration, type ZeroTrustOptions } from 'nestjs-zero-trust';
import { DocumentsModule } from './documents/documents.module.js';
import { InvoicesModule } from './invoices/invoices.module.js';
import { permissions, roles } from './permissions.js';
import { FURTHER_PUBLIC_ROUTES, publicRoutes } from './public-routes.js';
import { readSettings, type Settings } from './settings.js';

@Module({
  imports: [
    ZeroTrustModule.forRootAsync({
      inject: [{ token: FURTHER_PUBLIC_ROUTES, optional: true }],
      useFactory: (further?: readonly PublicRouteDeclaration[]) => zeroTrustOptions(readSettings(), further),
    }),
    DocumentsModule,
    InvoicesModule,
  ],
})
export class AppModule {}

function zeroTrustOptions(
  settings: Settings,
  further: readonly PublicRouteDeclaration[] | undefined,
): ZeroTrustOptions {
  return {
    database: { url: settings.databaseUrl, tlsCa: settings.databaseCa },
    encryption: { masterKey: settings.masterKey },
    http: { corsOrigins: settings.corsOrigins, trustedProxies: settings.trustedProxies },
    access: { permissions, roles, publicRoutes: publicRoutes(further) },
    audit: { readerUrl: settings.databaseAuditUrl },
    sessions: { issuer: settings.publicUrl, audience: settings.publicUrl },
    identity: { productName: 'Client portal' },
  };
}
