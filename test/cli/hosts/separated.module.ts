import { Injectable, Module } from '@nestjs/common';
import { definePermissions, Scopes, ZeroTrustModule } from 'nestjs-zero-trust';

const permissions = definePermissions({ invoices: ['read', 'approve'] });

/** Says which projects there are: that a grant's scope is one of them. */
@Injectable()
class Projects {
  constructor(scopes: Scopes) {
    scopes.knownBy('project', { exists: (id) => Promise.resolve(id === '7') });
  }
}

/** Two roles that nobody may hold together, and grants that count in projects. */
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
            clerk: { permissions: ['invoices:read'] },
            approver: { permissions: ['invoices:approve'] },
          },
          scopes: ['project'],
          separationOfDuty: [{ name: 'who makes does not approve', roles: ['clerk', 'approver'] }],
        },
        sessions: { issuer: 'https://reports.example.test', audience: 'https://reports.example.test' },
      }),
    }),
  ],
  providers: [Projects],
})
export class AppModule {}
