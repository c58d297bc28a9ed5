// The kit's options, the same for the servers and for what prepares their data.
import { definePermissions } from 'nestjs-zero-trust';

/** Limits that one load generator on one address does not reach; what they cost does not depend on the number. */
const UNREACHED = {
  sourceRequests: 1_000_000,
  sourceWindowSeconds: 1,
  routeRequests: 1_000_000,
  routeWindowSeconds: 1,
  principalRequests: 1_000_000,
  principalWindowSeconds: 1,
};

export function kitOptions({ appUrl, auditUrl, masterKey }) {
  return {
    database: { url: appUrl },
    encryption: { masterKey },
    audit: { readerUrl: auditUrl },
    access: {
      permissions: definePermissions({ documents: ['read', 'write'] }),
      roles: { reader: { permissions: ['documents:read'] }, writer: { permissions: ['documents:write'] } },
    },
    sessions: { issuer: 'https://bench.example.test', audience: 'https://bench.example.test' },
    http: {},
    throttler: UNREACHED,
  };
}
