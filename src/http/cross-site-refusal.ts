import type { INestApplication } from '@nestjs/common';
import { ZeroTrustError } from '../core/zero-trust-error.js';

/** What another site made a browser send, refused before anything else looked at it (ASVS 3.5.1). */
export class CrossSiteRefusal extends ZeroTrustError {
  constructor() {
    super('cross-site-request', { detail: 'another site made a browser send the request' });
  }
}

/**
 * Nest refuses such a request with a 403 like any other. Only where its check hands the refusal over can it be told
 * apart from one that a handler throws: so that is where it gets its name, while `install` enables the check.
 */
export function nameCrossSiteRefusals(app: INestApplication, install: () => void): void {
  const adapter = app.getHttpAdapter();
  const register = adapter.registerSecurityHook?.bind(adapter);
  // Then Nest says so itself.
  if (!register) {
    install();
    return;
  }
  adapter.registerSecurityHook = (check) =>
    register((request, response) => check(request, response) && new CrossSiteRefusal()) as unknown;
  try {
    install();
  } finally {
    Reflect.deleteProperty(adapter, 'registerSecurityHook');
  }
}
