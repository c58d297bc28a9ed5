// `npm run test:mutation`: changes the code that must not be wrong, one small thing at a time, and shows which changes no
// test noticed. Fails when docs/mutation.md explains one of them not.
//   npm run test:mutation                     every file below, about an hour
//   npm run test:mutation -- cookies decide   those whose path has one of the words in it
//   npm run test:mutation -- --help           this text
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** Each file, and the specs that must notice. One that only some distant test notices counts as unnoticed. */
const SPECS = {
  'src/core/assurance.ts': ['core/assurance'],
  'src/core/pipeline.ts': ['core/pipeline', 'core/pipeline.again', 'core/report-only'],
  'src/core/principal-note.ts': ['core/principal-note'],
  'src/core/verdict.ts': ['core/verdict'],
  'src/core/pipeline.guard.ts': ['core/pipeline.guard'],
  'src/core/report-only.judgement.ts': ['core/report-only'],
  'src/core/route-policy.ts': ['core/route-policy', 'core/route-policy.demands'],
  'src/freshness/revocations.ts': ['freshness/revocations'],
  'src/access/inventory/policy-identity.ts': ['access/inventory/policy-identity'],
  'src/access/inventory/policy-override.ts': ['access/inventory/policy-override.demands'],
  'src/access/inventory/route-entry.ts': ['access/inventory/route-entry'],
  'src/access/inventory/http.handlers.ts': ['access/inventory/http.handlers'],
  'src/access/inventory/message.handlers.ts': ['access/inventory/message.handlers'],
  'src/access/inventory/graphql.handlers.ts': ['access/inventory/graphql.handlers'],
  'src/access/inventory/task.handlers.ts': ['access/inventory/task.handlers'],
  'src/access/inventory/route-inventory.ts': ['access/inventory/route-inventory.classes'],
  'src/access/report-only/report-only.coverage.ts': ['access/report-only/report-only.coverage'],
  'src/access/decision/decide.ts': ['access/decision/decide'],
  'src/access/decision/held.ts': ['access/decision/held'],
  'src/access/objects/condition.ts': ['access/objects/condition'],
  'src/access/objects/field-rules.ts': ['access/objects/field-rules.declarations'],
  'src/access/grants/separation-of-duty.ts': ['access/grants/separation-of-duty.graph'],
  'src/access/decision/remembered-permissions.ts': ['access/decision/remembered-permissions'],
  'src/sessions/refresh/refresh-token.ts': ['sessions/refresh/refresh-token'],
  'src/sessions/access-tokens/compact-jws.ts': ['sessions/access-tokens/compact-jws'],
  'src/sessions/access-tokens/access-token.claims.ts': ['sessions/access-tokens/access-token.claims'],
  'src/sessions/access-tokens/remembered-tokens.ts': ['sessions/access-tokens/remembered-tokens'],
  'src/sessions/cookies.ts': ['sessions/cookies'],
  'src/sessions/access-tokens/presented-token.ts': [
    'sessions/access-tokens/presented-token',
    'sessions/cookies',
  ],
  'src/sessions/access-tokens/access-token.verifier.ts': ['sessions/access-tokens/access-token.verifier'],
  'src/sessions/access-tokens/access-token.authenticator.ts': [
    'sessions/access-tokens/access-token.authenticator',
  ],
  'src/sessions/refresh/refresh.service.ts': [
    'sessions/refresh/refresh.service',
    'sessions/refresh/refresh-rotation.security',
    'sessions/refresh/refresh-lifetimes.security',
    'sessions/refresh/refresh-input.security',
  ],
  'src/sessions/refresh/refresh.store.ts': ['sessions/refresh/refresh.store'],
};

if (process.argv.includes('--help')) {
  const text = readFileSync(fileURLToPath(import.meta.url), 'utf8');
  console.log(
    text
      .slice(0, text.indexOf('import '))
      .replace(/^\/\/ ?/gm, '')
      .trimEnd(),
  );
  process.exit(0);
}

const root = fileURLToPath(new URL('..', import.meta.url));
const stryker = createRequire(import.meta.url)
  .resolve('@stryker-mutator/core/package.json')
  .replace(/package\.json$/, 'bin/stryker.js');
// Without the blanks with which prettier makes columns.
const explained = readFileSync(`${root}docs/mutation.md`, 'utf8').replace(/ +/g, ' ');

/** As a row of the table in docs/mutation.md begins. */
function rowOf(file, { location: { start, end }, replacement }, source) {
  const lines = source.split('\n').slice(start.line - 1, end.line);
  lines[lines.length - 1] = lines.at(-1).slice(0, end.column - 1);
  lines[0] = lines[0].slice(start.column - 1);
  // Markdown takes a backtick for the end of the code: a template is written with apostrophes.
  const code = (text) =>
    `\`${text.replace(/\s+/g, ' ').replaceAll('`', "'").slice(0, 70).trim().replaceAll('|', '\\|')}\``;
  return `| \`${file.replace(/^src\//, '')}\` | ${code(lines.join('\n'))} → ${code(replacement)} |`;
}

const words = process.argv.slice(2);
const chosen = Object.entries(SPECS).filter(
  ([file]) => words.length === 0 || words.some((word) => file.includes(word)),
);
const scores = [];
let unexplained = 0;
for (const [file, specs] of chosen) {
  const report = `reports/mutation/${file.replaceAll('/', '.')}.json`;
  rmSync(root + report, { force: true });
  const { status } = spawnSync(process.execPath, [stryker, 'run', '--mutate', file], {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      MUTATION_REPORT: report,
      MUTATION_SPECS: specs.map((name) => `test/${name}.spec.ts`).join(),
    },
  });
  if (status !== 0) process.exit(1);
  const { source, mutants } = JSON.parse(readFileSync(root + report, 'utf8')).files[file];
  const count = (...states) => mutants.filter((each) => states.includes(each.status)).length;
  const unnoticed = mutants.filter((each) => ['Survived', 'NoCoverage'].includes(each.status));
  const noticed = count('Killed', 'Timeout', 'RuntimeError');
  scores.push({
    file,
    mutants: mutants.length,
    noticed,
    score: ((100 * noticed) / mutants.length).toFixed(1),
  });
  const rows = unnoticed.map((each) => rowOf(file, each, source));
  for (const row of new Set(rows)) {
    // Two that read alike are two rows: the reason of one is not that of the other.
    if (rows.filter((each) => each === row).length <= explained.split(row).length - 1) continue;
    unexplained += 1;
    console.log(`Nothing noticed, and docs/mutation.md does not say why:\n${row}`);
  }
}
console.table(scores);
console.log(`${unexplained} unexplained`);
process.exit(unexplained === 0 && scores.length > 0 ? 0 : 1);
