// `npm run test:mutation:sql`: takes each condition out of the statements that rotate, end, list and cap sessions, one at a
// time, in a copy of the project, and shows which of them no test misses. Stryker does not look into SQL.
//   npm run test:mutation:sql               all of them
//   npm run test:mutation:sql -- rotate     those whose name has one of the words in it
//   npm run test:mutation:sql -- --help     this text
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const REFRESH = 'src/sessions/refresh/refresh.store.ts';
const SESSION = 'src/sessions/session.store.ts';
/** What notices in the specs of the two stores; and what takes two at once to be seen. */
const SPECS = {
  holdSubject: ['session-races.security'],
  row: ['session.store', 'sessions.service'],
  rotate: ['refresh/refresh.store'],
  stateOf: ['refresh/refresh.store'],
};
const OTHERWISE = ['session.store'];

/** [method, what is left out, file, text, what stands there instead: the parameter stays, so that the statement runs] */
const MUTANTS = [
  [
    'rotate',
    'id',
    REFRESH,
    'WHERE id = $1 AND refresh_hash = $2 AND g',
    'WHERE $1::uuid IS NOT NULL AND refresh_hash = $2 AND g',
  ],
  [
    'rotate',
    'refresh_hash',
    REFRESH,
    'AND refresh_hash = $2 AND generation',
    'AND $2::bytea IS NOT NULL AND generation',
  ],
  ['rotate', 'generation', REFRESH, 'generation = $3 AND', '$3::int IS NOT NULL AND'],
  ['rotate', 'client_id', REFRESH, 'client_id = $4', '$4::text IS NOT NULL'],
  ['rotate', 'ended_at', REFRESH, 'AND ended_at IS NULL AND', 'AND'],
  ['rotate', 'expires_at', REFRESH, ' AND expires_at > clock_timestamp()\n', '\n'],
  [
    'rotate',
    'last_seen_at',
    REFRESH,
    'last_seen_at > clock_timestamp() - make_interval(secs => $5)',
    '$5::float8 IS NOT NULL',
  ],
  ['rotate', 'SET generation', REFRESH, 'generation = generation + 1', 'generation = generation'],
  ['rotate', 'SET rotated_at', REFRESH, ' rotated_at = clock_timestamp(),', ''],
  ['rotate', 'SET last_seen_at', REFRESH, ', last_seen_at = clock_timestamp()', ''],
  [
    'stateOf',
    'id',
    REFRESH,
    'WHERE id = $1 AND refresh_hash = $2 AND client',
    'WHERE $1::uuid IS NOT NULL AND refresh_hash = $2 AND client',
  ],
  [
    'stateOf',
    'refresh_hash',
    REFRESH,
    'AND refresh_hash = $2 AND client',
    'AND $2::bytea IS NOT NULL AND client',
  ],
  ['stateOf', 'client_id', REFRESH, 'client_id = $3', '$3::text IS NOT NULL'],
  ['stateOf', 'FOR UPDATE', REFRESH, "${lock ? 'FOR UPDATE' : ''}", "${lock ? '' : ''}"],
  [
    'stateOf',
    'idle',
    REFRESH,
    'last_seen_at <= clock_timestamp() - make_interval(secs => $4) AS idle',
    '$4::float8 IS NULL AS idle',
  ],
  ['stateOf', 'rotated_at', REFRESH, 'clock_timestamp() - rotated_at', 'clock_timestamp() - last_seen_at'],
  ['row', 'ended', SESSION, 'ended_at IS NOT NULL AS ended', 'false AS ended'],
  ['row', 'secondsLeft', SESSION, 'expires_at - clock_timestamp()', "interval '1 hour'"],
  [
    'row',
    'feedSeq',
    SESSION,
    '(SELECT seq FROM freshness.feed_head)::float8 AS "feedSeq"`;',
    '0::float8 AS "feedSeq"`;',
  ],
  [
    'row',
    'of the session it replaces',
    SESSION,
    'FROM sessions.session WHERE id = $10',
    'FROM sessions.session WHERE id = $10 AND false',
  ],
  [
    'listOf',
    'subject',
    SESSION,
    'WHERE subject = $1 AND ended_at IS NULL AND expires_at > clock_timestamp()\n          AND last_seen_at',
    'WHERE $1::uuid IS NOT NULL AND ended_at IS NULL AND expires_at > clock_timestamp()\n          AND last_seen_at',
  ],
  [
    'listOf',
    'ended_at',
    SESSION,
    'WHERE subject = $1 AND ended_at IS NULL AND expires_at > clock_timestamp()\n          AND last_seen_at',
    'WHERE subject = $1 AND expires_at > clock_timestamp()\n          AND last_seen_at',
  ],
  [
    'listOf',
    'expires_at',
    SESSION,
    'WHERE subject = $1 AND ended_at IS NULL AND expires_at > clock_timestamp()\n          AND last_seen_at',
    'WHERE subject = $1 AND ended_at IS NULL\n          AND last_seen_at',
  ],
  [
    'listOf',
    'last_seen_at',
    SESSION,
    'last_seen_at > clock_timestamp() - make_interval(secs => $2)',
    '$2::float8 IS NOT NULL',
  ],
  ['listOf', 'ORDER BY', SESSION, 'ORDER BY last_seen_at DESC, id LIMIT', 'ORDER BY last_seen_at, id LIMIT'],
  ['listOf', 'LIMIT', SESSION, ' LIMIT 1000', ''],
  [
    'end',
    'id',
    SESSION,
    'WHERE id = $1 AND ended_at IS NULL AND subject',
    'WHERE $1::uuid IS NOT NULL AND ended_at IS NULL AND subject',
  ],
  ['end', 'ended_at', SESSION, 'WHERE id = $1 AND ended_at IS NULL AND subject', 'WHERE id = $1 AND subject'],
  [
    'end',
    'subject',
    SESSION,
    'AND subject = COALESCE($3, subject) RETURNING',
    'AND COALESCE($3::uuid, subject) IS NOT NULL RETURNING',
  ],
  [
    'holdSubject',
    'the lock',
    SESSION,
    "pg_advisory_xact_lock(hashtextextended('sessions:' || $1, 0))",
    "hashtextextended('sessions:' || $1, 0)",
  ],
  [
    'endAllOf',
    'subject',
    SESSION,
    'WHERE subject = $1 AND ended_at IS NULL AND expires_at > clock_timestamp()\n                        AND',
    'WHERE $1::uuid IS NOT NULL AND ended_at IS NULL AND expires_at > clock_timestamp()\n                        AND',
  ],
  [
    'endAllOf',
    'ended_at',
    SESSION,
    'WHERE subject = $1 AND ended_at IS NULL AND expires_at > clock_timestamp()\n                        AND',
    'WHERE subject = $1 AND expires_at > clock_timestamp()\n                        AND',
  ],
  [
    'endAllOf',
    'expires_at',
    SESSION,
    'AND ended_at IS NULL AND expires_at > clock_timestamp()\n                        AND',
    'AND ended_at IS NULL\n                        AND',
  ],
  [
    'endAllOf',
    'but for one',
    SESSION,
    'id IS DISTINCT FROM $3',
    '$3::uuid IS DISTINCT FROM gen_random_uuid()',
  ],
  ['endAllOf', 'ORDER BY', SESSION, 'ORDER BY id FOR UPDATE', 'ORDER BY id DESC FOR UPDATE'],
  ['endAllOf', 'FOR UPDATE', SESSION, 'ORDER BY id FOR UPDATE', 'ORDER BY id'],
  ['cap', 'ended_at outside', SESSION, 'WHERE ended_at IS NULL AND id IN (', 'WHERE id IN ('],
  [
    'cap',
    'subject',
    SESSION,
    'WHERE subject = $1 AND ended_at IS NULL AND expires_at > clock_timestamp()\n             AND',
    'WHERE $1::uuid IS NOT NULL AND ended_at IS NULL AND expires_at > clock_timestamp()\n             AND',
  ],
  [
    'cap',
    'ended_at inside',
    SESSION,
    'WHERE subject = $1 AND ended_at IS NULL AND expires_at > clock_timestamp()\n             AND',
    'WHERE subject = $1 AND expires_at > clock_timestamp()\n             AND',
  ],
  [
    'cap',
    'expires_at',
    SESSION,
    'AND ended_at IS NULL AND expires_at > clock_timestamp()\n             AND',
    'AND ended_at IS NULL\n             AND',
  ],
  [
    'cap',
    'last_seen_at',
    SESSION,
    'AND last_seen_at > clock_timestamp() - make_interval(secs => $3)\n           ORDER',
    'AND $3::float8 IS NOT NULL\n           ORDER',
  ],
  [
    'cap',
    'never the one just opened',
    SESSION,
    'ORDER BY id = $4 DESC, last_seen_at',
    'ORDER BY $4::uuid IS NULL, last_seen_at',
  ],
  ['cap', 'the longest ago first', SESSION, 'last_seen_at DESC, id DESC OFFSET', 'id DESC OFFSET'],
  ['cap', 'id DESC', SESSION, 'last_seen_at DESC, id DESC OFFSET', 'last_seen_at DESC, id OFFSET'],
  [
    'seen',
    'ended_at',
    SESSION,
    'WHERE s.ended_at IS NULL AND s.last_seen_at < v.at',
    'WHERE s.last_seen_at < v.at',
  ],
  ['seen', 'never earlier', SESSION, 'AND s.last_seen_at < v.at\n', '\n'],
  [
    'seen',
    'never once it was idle',
    SESSION,
    's.last_seen_at > v.at - make_interval(secs => $3)',
    '$3::float8 IS NOT NULL',
  ],
  ['seen', 'SKIP LOCKED', SESSION, 'FOR UPDATE OF s SKIP LOCKED', 'FOR UPDATE OF s'],
];

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
const scratch = `${mkdtempSync(join(tmpdir(), 'zero-trust-mutation-'))}/`;
const copied = [
  'src',
  'sample',
  'test',
  'migrations',
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
];
for (const name of [...copied, 'vitest.config.ts', 'vitest.mutation.config.ts']) {
  const own = (path) => !/\/(?:node_modules|dist)$/.test(path);
  cpSync(root + name, scratch + name, { recursive: true, filter: own });
}
symlinkSync(`${root}node_modules`, `${scratch}node_modules`);
const vitest = createRequire(import.meta.url)
  .resolve('vitest/package.json')
  .replace(/package\.json$/, 'vitest.mjs');

function run(method) {
  const specs = (SPECS[method] ?? OTHERWISE).map((name) => `test/sessions/${name}.spec.ts`).join();
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [vitest, 'run', '--config', 'vitest.mutation.config.ts', '--bail', '1', '--no-file-parallelism'],
    {
      cwd: scratch,
      encoding: 'utf8',
      timeout: 180_000,
      env: { ...process.env, NODE_ENV: 'test', MUTATION_SPECS: specs },
    },
  );
  const by = /(?:FAIL|×).*?> (.*)/.exec((stdout + stderr).replace(/\x1b\[[\d;]*m/g, ''))?.[1] ?? '';
  return { noticed: status !== 0, by };
}

const words = process.argv.slice(2);
/** What a test must notice means nothing where it fails in any case. */
for (const method of [...Object.keys(SPECS), 'otherwise']) {
  if (run(method).noticed) throw new Error(`${method}: its specs fail without any change`);
}
const results = [];
for (const [method, left, file, text, instead] of MUTANTS) {
  const name = `${method}: ${left}`;
  if (words.length > 0 && !words.some((word) => name.includes(word))) continue;
  const source = readFileSync(root + file, 'utf8');
  if (source.split(text).length !== 2) throw new Error(`${name}: the text stands not once in ${file}`);
  writeFileSync(
    scratch + file,
    source.replace(text, () => instead),
  );
  const { noticed, by } = run(method);
  writeFileSync(scratch + file, source);
  console.log(`${noticed ? 'noticed' : 'UNNOTICED'}  ${name}  ${by}`);
  results.push(noticed);
}
rmSync(scratch, { recursive: true, force: true });
const unnoticed = results.filter((noticed) => !noticed).length;
console.log(`${results.length} conditions, ${unnoticed} unnoticed`);
process.exit(results.length > 0 && unnoticed === 0 ? 0 : 1);
