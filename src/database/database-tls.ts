import type { DatabaseAddress } from './database-url.js';

export interface DatabaseTlsOptions {
  /**
   * `verify-full` checks the server's certificate and its name; `off` sends everything in the clear.
   *
   * @default 'verify-full' beyond the machine, 'off' on loopback and Unix sockets. Production refuses 'off' beyond the machine.
   */
  readonly tls?: 'verify-full' | 'off';
  /**
   * The authorities that may have signed the server's certificate, as PEM text.
   *
   * @default those that Node.js trusts
   */
  readonly tlsCa?: string;
}

export interface VerifiedTls {
  readonly rejectUnauthorized: true;
  readonly minVersion: 'TLSv1.2';
  /** The name that the certificate must bear. Older versions of pg forget it for addresses, and check `localhost`. */
  readonly host: string;
  readonly ca?: string;
}

/**
 * What pg is told about TLS (ASVS 12.3.1, 12.3.2): a verified certificate or nothing. `require`, `prefer` and their
 * like encrypt towards whoever answers; they are refused.
 *
 * @throws TypeError that names the fault and the mend.
 */
export function databaseTls(
  address: DatabaseAddress,
  options: DatabaseTlsOptions,
  production: boolean,
): VerifiedTls | false {
  const { sslMode } = address;
  if (sslMode !== undefined && sslMode !== 'verify-full' && sslMode !== 'disable') {
    throw new TypeError('has an sslmode that does not verify the server; write sslmode=verify-full');
  }
  const asked = sslMode === 'disable' ? 'off' : sslMode;
  if (asked !== undefined && options.tls !== undefined && asked !== options.tls) {
    throw new TypeError('and the option "tls" contradict each other; leave sslmode out');
  }
  const mode =
    options.tls ??
    asked ??
    (address.host.startsWith('/') || (address.local && options.tlsCa === undefined) ? 'off' : 'verify-full');
  if (mode === 'verify-full') {
    // It does not reach this connection, and says that somebody wants unverified ones.
    if (production && process.env.NODE_TLS_REJECT_UNAUTHORIZED === '0') {
      throw new TypeError('is verified, and NODE_TLS_REJECT_UNAUTHORIZED=0 verifies nothing; unset it');
    }
    const { tlsCa } = options;
    return {
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
      host: address.host,
      ...(tlsCa && { ca: tlsCa }),
    };
  }
  if (production && !address.local) {
    throw new TypeError(
      'would send everything in the clear beyond this machine, which production refuses; leave tls and sslmode out',
    );
  }
  return false;
}
