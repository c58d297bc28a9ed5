import { readSetting } from 'nestjs-zero-trust';

/** What the service is told from outside; every value also as a file (`SETTING_FILE`). */
export interface Settings {
  readonly host: string;
  readonly port: number;
  /** The origin that people see; also the issuer of access tokens. */
  readonly publicUrl: string;
  readonly databaseUrl: string;
  readonly databaseAuditUrl: string;
  readonly databaseCa: string | undefined;
  readonly masterKey: string;
  readonly corsOrigins: readonly string[];
  readonly trustedProxies: readonly string[];
}

/** @throws Error with one line that names the setting and the mend. */
export function readSettings(): Settings {
  const { host, port } = readListenAddress();
  return {
    host,
    port,
    publicUrl: readSetting('PUBLIC_URL') ?? defaultPublicUrl(host, port),
    databaseUrl: required('DATABASE_URL', 'the login of the running service'),
    databaseAuditUrl: required('DATABASE_AUDIT_URL', 'the login that reads the audit log'),
    databaseCa: readSetting('DATABASE_CA'),
    masterKey: required('ZERO_TRUST_MASTER_KEY', 'make one with `npx zero-trust keys generate`'),
    corsOrigins: list('CORS_ORIGINS'),
    trustedProxies: list('TRUSTED_PROXIES'),
  };
}

/** Where to listen: loopback and 3000 unless told otherwise. */
export function readListenAddress(): { host: string; port: number } {
  const port = readSetting('PORT') ?? '3000';
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535)
    throw new Error('PORT must be a number from 0 to 65535.');
  return { host: readSetting('HOST') ?? '127.0.0.1', port: Number(port) };
}

function defaultPublicUrl(host: string, port: number): string {
  if (process.env.NODE_ENV !== 'development')
    throw new Error('PUBLIC_URL is missing: the origin that people see.');
  return `http://${host}:${port}`;
}

function required(name: string, meaning: string): string {
  const value = readSetting(name);
  if (!value) throw new Error(`${name} is missing: ${meaning}. See .env.example.`);
  return value;
}

function list(name: string): readonly string[] {
  const value = readSetting(name) ?? '';
  return value
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
}
