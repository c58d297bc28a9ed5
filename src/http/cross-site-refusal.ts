import type { INestApplication } from '@nestjs/common';
import { ZeroTrustError } from '../core/zero-trust-error.js';
import { StandingFields } from './standing-fields.js';

/** What another site made a browser send, refused before anything else looked at it (ASVS 3.5.1). */
export class CrossSiteRefusal extends ZeroTrustError {
  constructor() {
    super('cross-site-request', { detail: 'another site made a browser send the request' });
  }
}

type Field = readonly [name: string, value: string];

/** Of what methods Nest is asked once whether it lets them pass from anywhere, and not for each request. */
const READS = ['GET', 'HEAD'];
const FROM_ANOTHER_SITE = {
  'sec-fetch-site': 'cross-site',
  origin: 'https://another.invalid',
  host: 'this.invalid',
};

interface SetsFields {
  setHeader(name: string, value: string): unknown;
  removeHeader(name: string): unknown;
}

/**
 * Nest refuses such a request with a 403 like any other. Only where its check hands the refusal over can it be told
 * apart from one that a handler throws: so that is where it gets its name, while `install` enables the check.
 *
 * @returns the header fields that Nest sets before it checks. An answer that bears them is spared that.
 */
export function nameCrossSiteRefusals(app: INestApplication, install: () => void): Field[] {
  const adapter = app.getHttpAdapter();
  const register = adapter.registerSecurityHook?.bind(adapter);
  const fields: Field[] = [];
  let judge: ((request: object, response: SetsFields) => unknown) | undefined;
  let passing: ReadonlySet<unknown> = new Set();
  // Then Nest says so itself.
  if (!register) {
    install();
    return fields;
  }
  adapter.registerSecurityHook = (check) => {
    judge = check;
    return register((request, response) => {
      const isBearing = StandingFields.areOn(response);
      if (isBearing && passing.has((request as { readonly method?: unknown }).method)) return undefined;
      return check(request, isBearing ? new Bearing(response) : response) && new CrossSiteRefusal();
    }) as unknown;
  };
  try {
    install();
  } finally {
    Reflect.deleteProperty(adapter, 'registerSecurityHook');
  }
  const answer = {
    setHeader: (name: string, value: string) => fields.push([name, value]),
    removeHeader: () => 0,
  };
  judge?.({ method: 'GET', headers: {} }, answer);
  const nothing = { setHeader: () => 0, removeHeader: () => 0 };
  passing = new Set(
    READS.filter((method) => judge?.({ method, headers: FROM_ANOTHER_SITE }, nothing) === undefined),
  );
  return fields;
}

/** An answer that has the fields already; others are taken away from it as Nest says. */
class Bearing implements SetsFields {
  constructor(private readonly response: SetsFields) {}

  setHeader(): void {}

  removeHeader(name: string): void {
    this.response.removeHeader(name);
  }
}
