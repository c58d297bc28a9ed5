import { ConfigurableModuleBuilder } from '@nestjs/common';
import { isIP } from 'node:net';
import { BootError } from '../core/zero-trust-error.js';

/** The edge. Every option left out is the strict choice. */
export interface HttpOptions {
  /** Origins that may call from a browser, each exactly as a browser sends it: `https://app.example.com`. @default none */
  readonly corsOrigins?: readonly string[];
  /**
   * Networks (CIDR or address) of the reverse proxies whose `X-Forwarded-For` is believed. Left out, the peer of the
   * connection is the source and every forwarding header is ignored (ASVS 15.3.4). @default none
   */
  readonly trustedProxies?: readonly string[];
  /** Values of `Host` that are answered, with port where it is not the default one. @default every host */
  readonly allowedHosts?: readonly string[];
  /** Largest request body in bytes. @default 102400 */
  readonly bodyLimitBytes?: number;
  /** How deep a JSON body may nest. @default 16 */
  readonly bodyDepth?: number;
  /** Header fields of one request. @default 100 */
  readonly maxHeaderFields?: number;
  /** Milliseconds that a client has to send its header fields. @default 10000 */
  readonly headersTimeoutMs?: number;
  /** Milliseconds that a client has to send a whole request. @default 30000 */
  readonly requestTimeoutMs?: number;
  /** Milliseconds that an idle connection is kept. @default 5000 */
  readonly keepAliveTimeoutMs?: number;
  /** Whether each answered request leaves one line in the log: who, what, outcome; no query, no address. @default true */
  readonly requestLog?: boolean;
}

export type HttpSettings = Required<HttpOptions>;

export const HTTP_SETTINGS = Symbol('nestjs-zero-trust:http-settings');

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN: HTTP_OPTIONS } =
  new ConfigurableModuleBuilder<HttpOptions>({ moduleName: 'Http' }).setClassMethodName('forRoot').build();

const DEFAULTS: HttpSettings = {
  corsOrigins: [],
  trustedProxies: [],
  allowedHosts: [],
  bodyLimitBytes: 102_400,
  bodyDepth: 16,
  maxHeaderFields: 100,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 5_000,
  requestLog: true,
};

const WHOLE_NUMBERS = {
  bodyLimitBytes: [1, 104_857_600],
  bodyDepth: [1, 64],
  maxHeaderFields: [10, 1_000],
  headersTimeoutMs: [100, 120_000],
  requestTimeoutMs: [100, 3_600_000],
  keepAliveTimeoutMs: [100, 600_000],
} as const;

/**
 * Fills in the defaults.
 *
 * @throws BootError that names every option that is out of range. A limit that cannot be read must not become none.
 */
export function resolveHttpOptions(given: HttpOptions, production: boolean): HttpSettings {
  const chosen = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const settings = { ...DEFAULTS, ...chosen } as HttpSettings;
  const faults = Object.keys(chosen)
    .filter((name) => !Object.hasOwn(DEFAULTS, name))
    .map((name) => `unknown option "${name}": remove it or correct its spelling`);
  for (const [name, [lowest, highest]] of Object.entries(WHOLE_NUMBERS)) {
    const value = settings[name as keyof typeof WHOLE_NUMBERS] as unknown;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < lowest || value > highest) {
      faults.push(`${name} must be a whole number from ${lowest} to ${highest}`);
    }
  }
  if (typeof settings.requestLog !== 'boolean') faults.push('requestLog must be true or false');
  faults.push(
    ...listFaults('corsOrigins', settings.corsOrigins, (origin) => originFault(origin, production)),
    ...listFaults('trustedProxies', settings.trustedProxies, networkFault),
    ...listFaults('allowedHosts', settings.allowedHosts, hostFault),
  );
  if (faults.length > 0) throw new BootError('HttpModule', faults);
  return settings;
}

function listFaults(name: string, list: unknown, faultOf: (entry: string) => string | undefined): string[] {
  if (!Array.isArray(list)) return [`${name} must be a list`];
  return list.flatMap((entry: unknown) => {
    const fault = typeof entry === 'string' ? faultOf(entry) : 'must be text';
    return fault ? [`${name}: ${JSON.stringify(entry)} ${fault}`] : [];
  });
}

function originFault(origin: string, production: boolean): string | undefined {
  if (origin.includes('*')) return 'is a wildcard: name each origin';
  if (!URL.canParse(origin) || new URL(origin).origin !== origin) {
    return 'is not an origin as a browser sends it: scheme, host and port in lower case, without path or final slash';
  }
  const { protocol, hostname } = new URL(origin);
  if (protocol === 'https:') return undefined;
  if (protocol !== 'http:') return 'must begin with https://';
  return production && !isLoopback(hostname) ? 'is not encrypted: use https://' : undefined;
}

const isLoopback = (hostname: string): boolean =>
  hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);

function networkFault(network: string): string | undefined {
  const [address = '', bits, ...rest] = network.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0)
    return 'is neither an address nor a network in CIDR form, e.g. 10.1.0.0/16';
  if (bits === undefined) return undefined;
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > (version === 4 ? 32 : 128))
    return 'has a prefix length that is none';
  return Number(bits) < 8 ? 'trusts far too many addresses: name the network of your proxies' : undefined;
}

function hostFault(host: string): string | undefined {
  return /^[a-z0-9.-]+(:\d{1,5})?$|^\[[0-9a-f:]+\](:\d{1,5})?$/.test(host)
    ? undefined
    : 'is not a host as Host names it: lower case, with port where it is not the default one';
}
