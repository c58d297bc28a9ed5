import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

interface Package {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
  readonly dev?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

const { packages } = JSON.parse(
  readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8'),
) as { packages: Readonly<Record<string, Package>> };

/** Where Node.js finds a package from within another one. */
function resolved(name: string, from: string): string | undefined {
  for (let folder = from; ; folder = folder.replace(/(^|\/)node_modules\/(@[^/]+\/)?[^/]+$/, '')) {
    const path = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`;
    if (packages[path]) return path;
    if (folder === '') return undefined;
  }
}

/** For `nestjs-zero-trust/openapi` alone, which a service has only where it asks for it. */
const DOCUMENTATION = '@nestjs/swagger';

/** Everything that a running service may load: what the kit and the sample depend on, peers included. */
function reachable(without: string): Set<string> {
  const reached = new Set(['', 'sample']);
  // A set takes in what is added while it is walked.
  for (const path of reached) {
    const { dependencies, peerDependencies } = packages[path]!;
    for (const name of Object.keys({ ...dependencies, ...peerDependencies })) {
      if (name === without) continue;
      const found = resolved(name, path === 'sample' ? '' : path);
      if (found !== undefined && packages[found]?.link !== true) reached.add(found);
    }
  }
  return new Set([...reached].filter((path) => path.includes('node_modules/')));
}

const runtime = reachable(DOCUMENTATION);
const namesOf = (paths: Iterable<string>): string[] =>
  [...new Set([...paths].map((path) => path.replace(/^.*node_modules\//, '')))].sort();

describe('what a running service may load', () => {
  test('is found: the walk sees the packages that it must', () => {
    expect(namesOf(runtime)).toEqual(
      expect.arrayContaining([
        '@nestjs/core',
        '@nestjs/platform-fastify',
        'body-parser',
        'fastify',
        'pg',
        'typeorm',
      ]),
    );
    expect(namesOf(runtime)).not.toContain('vitest');
  });

  test('V1.5.1 V1.5.2 parses neither XML nor YAML nor a binary format that makes objects', () => {
    expect(
      namesOf(runtime).filter((name) =>
        /xml|sax|yaml|msgpack|bson|cbor|protobuf|serialize-javascript/i.test(name),
      ),
    ).toEqual([]);
  });

  test('OPS-02 needs no install script', () => {
    expect([...runtime].filter((path) => packages[path]?.hasInstallScript)).toEqual([]);
  });

  test('V1.5.1 OPS-02 the documentation alone brings a writer of YAML and an install script, and production goes without it', () => {
    const documentation = [...reachable('')].filter((path) => !runtime.has(path));
    expect(namesOf(documentation)).toEqual([
      '@microsoft/tsdoc',
      '@nestjs/mapped-types',
      '@nestjs/swagger',
      '@scarf/scarf',
      'argparse',
      'es-toolkit',
      'js-yaml',
      'swagger-ui-dist',
      // Its optional peer: only its compiler plugin loads it.
      'typescript',
    ]);
    const scripts = documentation.filter((path) => packages[path]?.hasInstallScript);
    expect(namesOf(scripts)).toEqual(['@scarf/scarf']);
    // `npm ci --omit=dev` leaves it out, as the Dockerfile does, and `--ignore-scripts` runs no script of it anywhere.
    expect(packages['']!.peerDependenciesMeta?.[DOCUMENTATION]).toEqual({ optional: true });
    expect(Object.keys(packages['sample']!.dependencies!)).not.toContain(DOCUMENTATION);
    expect(documentation.filter((path) => packages[path]?.dev !== true)).toEqual([]);
  });

  test('is no older than the releases that mended known faults', () => {
    const floors: Readonly<Record<string, string>> = {
      '@nestjs/core': '12.1.0',
      '@nestjs/throttler': '6.7.0',
      'body-parser': '2.3.0',
      jose: '6.0.0',
      jsonwebtoken: '9.0.2',
      qs: '6.16.0',
      typeorm: '1.1.0',
    };
    const parts = (version: string): number[] => version.split('.').map(Number);
    const below = (version: string, floor: string): boolean => {
      const [one, other] = [parts(version), parts(floor)];
      const at = one.findIndex((part, index) => part !== other[index]);
      return at >= 0 && one[at]! < other[at]!;
    };
    for (const [name, floor] of Object.entries(floors)) {
      const versions = [...runtime].filter((path) => path.endsWith(`node_modules/${name}`));
      expect(versions.length, name).toBeGreaterThan(0);
      for (const path of versions) {
        expect(below(packages[path]!.version!, floor), `${path} ${packages[path]!.version!}`).toBe(false);
      }
    }
    expect([below('2.2.9', '2.3.0'), below('2.3.0', '2.3.0'), below('3.0.0', '2.3.0')]).toEqual([
      true,
      false,
      false,
    ]);
  });
});

describe('the lock file', () => {
  test('OPS-02 V15.2.4 names no source but the public registry, and the checksum of each package', () => {
    const foreign = Object.entries(packages).filter(
      ([path, { resolved: from, integrity, link }]) =>
        path.includes('node_modules/') &&
        link !== true &&
        !(
          (from ?? 'https://registry.npmjs.org/').startsWith('https://registry.npmjs.org/') &&
          integrity?.startsWith('sha512-') === true
        ),
    );
    expect(foreign.map(([path]) => path)).toEqual([]);
  });
});
