/**
 * The floors of docs/architecture.md: a module imports from lower floors only, modules on one floor never import
 * each other. `architecture.spec.ts` runs it and proves that it can fail.
 */
const ROOMS = {
  core: [],
  database: ['core'],
  encryption: ['database', 'core'],
  freshness: ['database', 'core'],
  http: ['encryption', 'freshness', 'database', 'core'],
  throttler: ['encryption', 'freshness', 'database', 'core'],
  segmentation: ['encryption', 'freshness', 'database', 'core'],
  access: ['encryption', 'freshness', 'database', 'core'],
  audit: ['encryption', 'freshness', 'database', 'core'],
  monitoring: ['encryption', 'freshness', 'database', 'core'],
  sessions: ['encryption', 'freshness', 'database', 'core'],
  identity: ['sessions', 'throttler', 'access', 'encryption', 'freshness', 'database', 'core'],
  openapi: ['sessions', 'http', 'throttler', 'access', 'core'],
  testing: ['sessions', 'http', 'access', 'freshness', 'database', 'core'],
};

const floors = Object.entries(ROOMS).map(([room, allowed]) => ({
  name: `floor-${room}`,
  severity: 'error',
  comment: `${room}/ may import ${allowed.join(', ') || 'nothing of the kit'} only`,
  from: { path: `^src/${room}/` },
  to: { path: '^src/', pathNot: [room, ...allowed].map((each) => `^src/${each}/`) },
}));

module.exports = {
  forbidden: [
    ...floors,
    {
      name: 'no-circles',
      severity: 'error',
      comment: 'entities of one relation know each other by type and thunk; nothing else may go in a circle',
      from: {},
      to: { circular: true, viaOnly: { pathNot: '\\.entity\\.ts$' } },
    },
    {
      name: 'no-barrel-inside',
      severity: 'error',
      comment: 'inside src/ import files; only outsiders use the door',
      from: { path: '^src/' },
      to: { path: '^src/((openapi|testing)/)?index\\.ts$' },
    },
    {
      name: 'composition-stays-on-top',
      severity: 'error',
      from: {
        path: '^src/(core|database|encryption|freshness|http|throttler|segmentation|access|audit|monitoring|sessions|identity)/',
      },
      to: { path: '^src/(zero-trust\\.module\\.ts|cli/|openapi/|testing/)' },
    },
    {
      name: 'sample-uses-the-package-by-name',
      severity: 'error',
      comment: 'the sample is what people copy: it sees what they see',
      from: { path: '^sample/src/' },
      // The package's own names resolve to its doors.
      to: { path: '^(src|test)/', pathNot: '^src/((openapi|testing)/)?index\\.ts$' },
    },
    {
      name: 'the-kit-knows-neither-sample-nor-tests',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(sample|test|bench)/' },
    },
    {
      name: 'no-undeclared-dependency',
      severity: 'error',
      comment: 'what npm ships may only need what package.json promises',
      from: { path: '^src/' },
      to: {
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'unknown'],
        dependencyTypesNot: ['npm', 'npm-peer', 'npm-optional'],
      },
    },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'node', 'default'],
    },
  },
};
