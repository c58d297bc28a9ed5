import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { beforeAll, describe, expect, test } from 'vitest';
import * as door from '../src/index.js';
import * as openapiDoor from '../src/openapi/index.js';
import * as testingDoor from '../src/testing/index.js';

const DOOR = fileURLToPath(new URL('../src/index.ts', import.meta.url));

/** What applications can import and run: a new name here is a promise that versions have to keep. */
const RUNTIME_EXPORTS = [
  'AccessModule',
  'AccessReports',
  'AccessService',
  'AccountsService',
  'AuditModule',
  'Authenticated',
  'Authenticator',
  'BootError',
  'Clock',
  'CurrentFilter',
  'CurrentPrincipal',
  'CurrentResource',
  'DatabaseModule',
  'DatabaseProbe',
  'EncryptionModule',
  'FieldCipher',
  'FreshnessFeed',
  'FreshnessModule',
  'GrantsService',
  'HttpModule',
  'IdentityModule',
  'IntegrityError',
  'KeyRing',
  'KitDataSource',
  'ListFilter',
  'LongLived',
  'MigrateError',
  'MonitoringModule',
  'PASSED',
  'PIPELINE',
  'Pipeline',
  'PipelineModule',
  'Public',
  'RefreshService',
  'ReportOnly',
  'ReportOnlyRecorder',
  'RequestContext',
  'RequireAssurance',
  'RequirePermission',
  'ResourceResolver',
  'RolesService',
  'RouteInventory',
  'SUBJECT',
  'SYSTEM_PRINCIPAL',
  'Scopes',
  'SecondFactorsService',
  'SecurityEvents',
  'SessionHandover',
  'SessionsModule',
  'SessionsService',
  'StrictFreshness',
  'Subjects',
  'SystemClock',
  'SystemTask',
  'Tenants',
  'ThrottleStrictly',
  'ThrottlingModule',
  'ThrottlingService',
  'UnitOfWork',
  'ZeroTrustError',
  'ZeroTrustModule',
  'allOf',
  'anyOf',
  'decide',
  'definePermissions',
  'developmentMasterKey',
  'fieldRules',
  'is',
  'isDatabaseUnavailable',
  'meetsAssurance',
  'migrate',
  'not',
  'objectRule',
  'oneOf',
  'policyOf',
  'readSetting',
  'refused',
  'secureApplication',
  'some',
  'uuidV7',
];

/** Every door, under the name that package.json opens it by: its file, and what it hands out. */
const DOORS: Readonly<Record<string, { source: string; exports: object; names: readonly string[] }>> = {
  '.': { source: DOOR, exports: door, names: RUNTIME_EXPORTS },
  './openapi': {
    source: fileURLToPath(new URL('../src/openapi/index.ts', import.meta.url)),
    exports: openapiDoor,
    names: ['OpenApiDocument', 'OpenApiModule'],
  },
  './testing': {
    source: fileURLToPath(new URL('../src/testing/index.ts', import.meta.url)),
    exports: testingDoor,
    names: [
      'FrozenClock',
      'ZeroTrustTestingModule',
      'accessMatrixOf',
      'actingAs',
      'expectEveryRouteDeclared',
      'expectMatrix',
      'publishedEvents',
      'withTestPrincipals',
    ],
  },
};

describe('the public surface', () => {
  test.each(Object.entries(DOORS))('%s is its list and nothing else', (_, { exports, names }) => {
    expect(Object.keys(exports).sort()).toEqual(names);
  });

  test.each(Object.entries(DOORS))(
    '%s is written by hand: no export that forwards a whole file',
    (_, { source }) => {
      expect(readFileSync(source, 'utf8')).not.toMatch(/export\s+(?:type\s+)?\*/);
    },
  );

  test('has these doors: package.json opens no other', () => {
    const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
      exports: Record<string, unknown>;
    };
    expect(Object.keys(manifest.exports)).toEqual([...Object.keys(DOORS), './package.json']);
  });
});

describe('the documentation of the public surface', () => {
  let undocumented: (source: string) => readonly string[];

  beforeAll(() => {
    const configuration = fileURLToPath(new URL('../tsconfig.json', import.meta.url));
    const { config } = ts.readConfigFile(configuration, ts.sys.readFile.bind(ts.sys)) as { config: object };
    const { options } = ts.parseJsonConfigFileContent(
      config,
      ts.sys,
      fileURLToPath(new URL('..', import.meta.url)),
    );
    undocumented = (source) => {
      const program = ts.createProgram([source], options);
      const checker = program.getTypeChecker();
      const module = checker.getSymbolAtLocation(program.getSourceFile(source)!);
      return checker
        .getExportsOfModule(module!)
        .map((each) => (each.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(each) : each))
        .filter((each) => each.getDocumentationComment(checker).length === 0)
        .map((each) => each.name);
    };
  }, 120_000);

  test.each(Object.entries(DOORS))(
    '%s: says of each export, types too, what it is for',
    (_, { source }) => {
      expect(undocumented(source)).toEqual([]);
    },
    120_000,
  );

  test('is missed where it is missing', () => {
    const bare = fileURLToPath(new URL('cli/hosts/several.module.ts', import.meta.url));
    expect(undocumented(bare)).toEqual(['FirstModule', 'SecondModule']);
  }, 120_000);
});
