import { definePermissions } from 'nestjs-zero-trust';

/** Everything that somebody may be allowed to do here. A misspelt permission does not compile. */
export const permissions = definePermissions({
  documents: ['read', 'read-any', 'write', 'share'],
  invoices: ['read', 'write', 'approve', 'read-iban'],
});

declare module 'nestjs-zero-trust' {
  interface Register {
    permissions: typeof permissions;
  }
}

/** Who may do what, reviewed here and brought into the database by `zero-trust access sync`. */
export const roles = {
  admin: {
    permissions: [
      'access:read',
      'access:explain',
      'accounts:read',
      'accounts:disable',
      'accounts:end-sessions',
      'audit:read',
      'grants:read',
      'grants:write',
      'roles:read',
      'roles:write',
    ],
  },
  viewer: { permissions: ['documents:read'] },
  editor: { permissions: ['documents:write', 'documents:share'], inherits: ['viewer'] },
  clerk: { permissions: ['invoices:read', 'invoices:write'] },
  approver: { permissions: ['invoices:read', 'invoices:approve', 'invoices:read-iban'] },
} as const;
