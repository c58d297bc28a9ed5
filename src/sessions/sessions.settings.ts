import { Inject, Injectable } from '@nestjs/common';
import { BootError } from '../core/zero-trust-error.js';
import { MAX_ACCESS_TOKEN_SECONDS } from './access-tokens/access-token.claims.js';
import { SESSIONS_OPTIONS, type SessionsOptions } from './sessions.options.js';

const THIRTY_DAYS = 2_592_000;

/** [least, most, default] */
const NUMBERS = {
  accessTokenTtlSeconds: [60, MAX_ACCESS_TOKEN_SECONDS, MAX_ACCESS_TOKEN_SECONDS],
  clockToleranceSeconds: [0, 60, 5],
  absoluteLifetimeSeconds: [60, THIRTY_DAYS, 43_200],
  idleLifetimeSeconds: [60, THIRTY_DAYS, 1_800],
  refreshRetrySeconds: [0, 60, 10],
  maxSessionsPerSubject: [1, 1_000, 20],
  rememberedTokens: [0, 1_000_000, 10_000],
} as const;

/** The first is the default. */
const WORDS = {
  clientDetails: ['device', 'none', 'device-and-address'],
  freshness: ['feed', 'database'],
} as const;

const KNOWN: readonly string[] = [
  ...['issuer', 'audience', 'cookies'],
  ...['signingAlgorithm', 'signingKeyLifetimeSeconds', 'signingKeyPublicationSeconds', 'signingKeyRotation'],
  ...Object.keys(NUMBERS),
  ...Object.keys(WORDS),
];

/** The options of SessionsModule, checked and complete. */
@Injectable()
export class SessionsSettings {
  readonly issuer: string;
  readonly audience: string;
  readonly accessTokenTtlSeconds: number;
  readonly clockToleranceSeconds: number;
  readonly absoluteLifetimeSeconds: number;
  readonly idleLifetimeSeconds: number;
  readonly refreshRetrySeconds: number;
  readonly maxSessionsPerSubject: number;
  readonly rememberedTokens: number;
  readonly cookies: boolean;
  /** As they were given; `signingKeyScheduleOf` checks and completes them. */
  readonly signingAlgorithm: SessionsOptions['signingAlgorithm'];
  readonly signingKeyLifetimeSeconds: number | undefined;
  readonly signingKeyPublicationSeconds: number | undefined;
  readonly signingKeyRotation: SessionsOptions['signingKeyRotation'];
  readonly clientDetails: (typeof WORDS.clientDetails)[number];
  readonly freshness: (typeof WORDS.freshness)[number];

  /** @throws BootError that names each wrong option and what to write. */
  constructor(@Inject(SESSIONS_OPTIONS) options: SessionsOptions) {
    const faults = Object.keys(options)
      .filter((name) => !KNOWN.includes(name))
      .map((name) => `${name}: is unknown; remove it or correct its spelling.`);
    const number = (name: keyof typeof NUMBERS): number => {
      const [least, most, otherwise] = NUMBERS[name];
      const value = options[name] ?? otherwise;
      if (!Number.isInteger(value) || value < least || value > most) {
        faults.push(
          `${name}: must be a whole number from ${least} to ${most}; leave it out for ${otherwise}.`,
        );
      }
      return value;
    };
    const word = <Name extends keyof typeof WORDS>(name: Name): (typeof WORDS)[Name][number] => {
      const known: readonly string[] = WORDS[name];
      const value = options[name] ?? WORDS[name][0];
      if (!known.includes(value)) faults.push(`${name}: must be one of ${known.join(', ')}.`);
      return value;
    };
    this.issuer = options.issuer;
    this.audience = options.audience;
    this.accessTokenTtlSeconds = number('accessTokenTtlSeconds');
    this.clockToleranceSeconds = number('clockToleranceSeconds');
    this.absoluteLifetimeSeconds = number('absoluteLifetimeSeconds');
    this.idleLifetimeSeconds = number('idleLifetimeSeconds');
    this.refreshRetrySeconds = number('refreshRetrySeconds');
    this.maxSessionsPerSubject = number('maxSessionsPerSubject');
    this.rememberedTokens = number('rememberedTokens');
    this.clientDetails = word('clientDetails');
    this.freshness = word('freshness');
    this.cookies = options.cookies ?? true;
    this.signingAlgorithm = options.signingAlgorithm;
    this.signingKeyLifetimeSeconds = options.signingKeyLifetimeSeconds;
    this.signingKeyPublicationSeconds = options.signingKeyPublicationSeconds;
    this.signingKeyRotation = options.signingKeyRotation;
    if (typeof this.cookies !== 'boolean') faults.push('cookies: must be true or false.');
    const issuerFault = faultOfIssuer(options.issuer);
    if (issuerFault) faults.push(`issuer: ${issuerFault}`);
    const audienceFault = faultOfAudience(options.audience);
    if (audienceFault) faults.push(`audience: ${audienceFault}`);
    if (this.absoluteLifetimeSeconds < this.accessTokenTtlSeconds) {
      faults.push('absoluteLifetimeSeconds: is shorter than accessTokenTtlSeconds; raise it.');
    }
    if (this.idleLifetimeSeconds < this.accessTokenTtlSeconds) {
      faults.push('idleLifetimeSeconds: is shorter than accessTokenTtlSeconds; raise it.');
    }
    if (faults.length > 0) throw new BootError('SessionsModule', faults);
  }
}

// An option from the environment may be missing whatever the compiler believes.
function faultOfIssuer(issuer: unknown): string | undefined {
  if (typeof issuer !== 'string' || issuer === '') {
    return 'is missing; give the origin that people see, e.g. https://portal.example.com.';
  }
  const url = URL.canParse(issuer) ? new URL(issuer) : undefined;
  // RFC 8414 2: a URL without query and fragment.
  if (!url || !/^https?:$/.test(url.protocol) || /[?#\s@]/.test(issuer)) {
    return 'must be a URL like https://portal.example.com, without login, query and fragment.';
  }
  // Unset is production.
  const production = process.env.NODE_ENV !== 'development' && process.env.NODE_ENV !== 'test';
  const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (production && url.protocol === 'http:' && !loopback) {
    return 'is not https, which production demands beyond loopback.';
  }
  return undefined;
}

function faultOfAudience(audience: unknown): string | undefined {
  if (typeof audience !== 'string' || audience === '') {
    return 'is missing; give the one service that the tokens are for, usually its own origin.';
  }
  return /^[\x21-\x7e]{1,255}$/.test(audience) ? undefined : 'must be up to 255 characters without spaces.';
}
