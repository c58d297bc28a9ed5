// The two ledgers: what stands for each ASVS requirement and for each case of the attack catalogue.
//   node scripts/ledgers.mjs             writes docs/asvs.md and docs/attacks.md from the ledgers
//   node scripts/ledgers.mjs --check     fails on a missing or unknown row, a stale page, a path that is not there,
//                                        or a named test that did not pass in coverage/test-results.json or, for
//                                        those in a browser, in coverage/browser-results.json where that is there
//   node scripts/ledgers.mjs --check --browser    fails also when the tests in a browser did not run
//   node scripts/ledgers.mjs --rows      the same without the test results
//   node scripts/ledgers.mjs --suggest   prints rows that the last test run contradicts; --apply writes those of attacks
// Columns of docs/ledgers/*.tsv: id, state, room, where (ASVS) or note (attacks), then one column a test: file › name.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const asked = process.argv.slice(2);
const rootAt = asked.indexOf('--root');
const root = rootAt < 0 ? fileURLToPath(new URL('..', import.meta.url)) : asked[rootAt + 1];
const has = (option) => asked.includes(option);

const ROOMS = new Set(
  (
    'core database encryption freshness http throttler segmentation access audit monitoring sessions identity ' +
    'sample console operations'
  ).split(' '),
);
const faults = [];

const read = (path) => readFileSync(join(root, path), 'utf8');
const table = (path) =>
  read(path)
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t'));

function ledger(path, known, states) {
  const rows = new Map();
  for (const [id, state, room, text = '', ...tests] of table(path).slice(1)) {
    if (rows.has(id)) faults.push(`${path}: ${id} stands twice`);
    if (!known.has(id)) faults.push(`${path}: ${id} is not in the catalogue`);
    if (!states.includes(state)) faults.push(`${path}: ${id} has the state "${state}", not one of ${states}`);
    if (!ROOMS.has(room)) faults.push(`${path}: ${id} names the room "${room}", which nobody knows`);
    rows.set(id, { id, state, room, text, tests: tests.filter((test) => test !== '') });
  }
  for (const id of known.keys()) if (!rows.has(id)) faults.push(`${path}: ${id} is missing`);
  return rows;
}

// ── What there is to answer for ──
const requirements = new Map(
  table('test/standards/asvs-applicable.tsv')
    .slice(1)
    .map(([id, level, chapter, section, says, how]) => [id, { id, level, chapter, section, says, how }]),
);
const cases = new Map();
for (const chapter of read('test/attacks/attacks.md').split(/^### /m).slice(1)) {
  const family = /^[A-Z]+ — (.*) \(\d+ cases\)$/m.exec(chapter)[1];
  for (const [, id, severity, title, body] of chapter.matchAll(
    /^- \*\*([A-Z]+-\d+)\*\* \((.)\) (.*)\n((?:  - .*\n)*)/gm,
  )) {
    const list = /ASVS ([\d., -]+)/.exec(body)?.[1] ?? '';
    cases.set(id, {
      id,
      severity,
      title,
      family,
      asvs: (list.match(/\d+\.\d+\.\d+/g) ?? []).map((each) => `V${each}`),
    });
  }
}

const asvs = ledger('docs/ledgers/asvs.tsv', requirements, ['enforced', 'documented', 'room']);
const attacks = ledger('docs/ledgers/attacks.tsv', cases, ['test', 'later', 'n/a']);

for (const { id, state, text, tests } of asvs.values()) {
  const where = text.split(' ').filter((path) => path !== '');
  for (const path of where)
    if (!existsSync(join(root, path))) faults.push(`asvs: ${id} names ${path}, which is not there`);
  if (state !== 'room' && where.length === 0) faults.push(`asvs: ${id} does not say where`);
  if (state === 'enforced' && tests.length === 0) faults.push(`asvs: ${id} names no test`);
  if (state === 'documented' && requirements.get(id)?.how !== 'docs') {
    faults.push(`asvs: ${id} asks for more than a document: name the test that proves it`);
  }
  if (state === 'room' && tests.length + where.length > 0)
    faults.push(`asvs: ${id} is open, yet names a proof`);
}
for (const { id, state, text, tests } of attacks.values()) {
  if (state === 'test' && tests.length === 0) faults.push(`attacks: ${id} names no test`);
  if (state !== 'test' && tests.length > 0) faults.push(`attacks: ${id} is ${state}, yet names a test`);
  if (state === 'n/a' && text === '') faults.push(`attacks: ${id} does not say why it cannot apply`);
}

// ── What the tests say ──
const split = (test) => test.split(' › ').map((part) => part.trim());
/** A name that ends in an empty parameter loses its last blank, as a row of the ledger does. */
const plain = (name) => name.replaceAll(' › ', ' > ').trimEnd();

const IN_BROWSER = 'test/browser/';
const BROWSER_RESULTS = 'coverage/browser-results.json';
const browserRan = existsSync(join(root, BROWSER_RESULTS));

function resultsIn(path) {
  if (!existsSync(join(root, path))) {
    faults.push(`${path} is not there: run the tests first`);
    return [];
  }
  return JSON.parse(read(path)).map(({ file, name, state }) => ({ file, name: plain(name), state }));
}

function results() {
  const browser = browserRan || has('--browser') ? resultsIn(BROWSER_RESULTS) : [];
  return [...resultsIn('coverage/test-results.json'), ...browser];
}

function proveBy(run) {
  const states = new Map();
  for (const { file, name, state } of run) {
    // The ledger may name a test with or without the groups that it stands in.
    for (const known of new Set([name, name.split(' > ').at(-1)])) {
      const key = `${file} › ${known}`;
      states.set(key, states.get(key) === 'failed' || state !== 'passed' ? 'failed' : 'passed');
    }
  }
  for (const { id, tests } of [...asvs.values(), ...attacks.values()]) {
    for (const test of tests) {
      const [file, ...name] = split(test);
      // Without a browser nothing is known of these; CI has one.
      if (file.startsWith(IN_BROWSER) && !browserRan && !has('--browser')) {
        if (!existsSync(join(root, file))) faults.push(`${id} is proven by ${file}, which is not there`);
        continue;
      }
      const state = states.get(`${file} › ${name.join(' > ')}`);
      if (state === undefined) faults.push(`${id} is proven by a test that did not run: ${test}`);
      else if (state !== 'passed') faults.push(`${id} is proven by a test that failed: ${test}`);
    }
  }
}

/** Case id → the passing tests whose name, or a group they stand in, begins with it. */
function provenCases(run) {
  const proven = new Map();
  for (const { file, name, state } of run) {
    if (state !== 'passed') continue;
    const beginnings = name
      .split(' > ')
      .map((part) => /^(?:[A-Z]{3,4}-\d+(?:[,/ ]+(?:and )?|$|:))+/.exec(part)?.[0] ?? '');
    for (const id of new Set(beginnings.join(' ').match(/[A-Z]{3,4}-\d+/g) ?? [])) {
      // Once, also where it runs on both adapters.
      proven.set(id, [...new Set([...(proven.get(id) ?? []), `${file} › ${name.split(' > ').at(-1)}`])]);
    }
  }
  return proven;
}

function suggest(run) {
  const proven = provenCases(run);
  // What only a browser can say stays as it is when none ran.
  if (!browserRan) {
    for (const { id, tests } of attacks.values()) {
      const kept = tests.filter((test) => test.startsWith(IN_BROWSER));
      if (kept.length > 0) proven.set(id, [...(proven.get(id) ?? []), ...kept]);
    }
  }
  for (const [id, tests] of proven) {
    const row = attacks.get(id);
    if (!row) console.log(`? ${tests[0]} names ${id}, which is no case of the catalogue`);
    else if (tests.join('\n') !== row.tests.join('\n')) {
      attacks.set(id, { ...row, state: 'test', text: '', tests });
      console.log([id, 'test', row.room, '', ...tests].join('\t'));
    }
  }
  for (const { id, state, room, tests } of attacks.values()) {
    if (state !== 'test' || proven.has(id)) continue;
    console.log(`? ${id} has no passing test that bears its id; named: ${tests.join(' ; ')}`);
  }
  for (const { id, state } of asvs.values()) {
    const hints = [...cases.values()].filter((each) => each.asvs.includes(id) && proven.has(each.id));
    if (state === 'room' && hints.length > 0) {
      console.log(`? ${id} is open, yet these cases stand: ${hints.map((each) => each.id).join(' ')}`);
    }
  }
  if (!has('--apply')) return;
  const lines = [...attacks.values()].map((row) =>
    [row.id, row.state, row.room, row.text, ...row.tests].join('\t'),
  );
  const [head] = read('docs/ledgers/attacks.tsv').split('\n');
  writeFileSync(
    join(root, 'docs/ledgers/attacks.tsv'),
    `${[head, ...lines.map((line) => line.trimEnd())].join('\n')}\n`,
  );
}

// ── The pages ──
const cell = (text) => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
const link = (path) => `[${path}](../${path})`;
const proofs = (tests) =>
  tests.map((test) => `${link(split(test)[0])} › ${cell(split(test).slice(1).join(' › '))}`).join('<br>');
const count = (rows, state) => [...rows.values()].filter((row) => row.state === state).length;
const GENERATED =
  '<!-- Written by scripts/ledgers.mjs: change docs/ledgers/, not this page. -->\n\n<!-- prettier-ignore-start -->\n';
const END = '\n<!-- prettier-ignore-end -->\n';

function sections(groups, head, line) {
  return [...groups].flatMap(([title, rows]) => ['', `## ${title}`, '', ...head, ...rows.map(line)]);
}

function grouped(values, by) {
  const groups = new Map();
  for (const value of values) groups.set(by(value), [...(groups.get(by(value)) ?? []), value]);
  return groups;
}

function asvsPage() {
  const levels = ['L1', 'L2', 'L3'].map((level) => {
    const rows = new Map([...asvs].filter(([id]) => requirements.get(id)?.level === level));
    return `| ${level} | ${rows.size} | ${count(rows, 'enforced')} | ${count(rows, 'documented')} | ${count(rows, 'room')} |`;
  });
  return [
    GENERATED,
    '# OWASP ASVS 5.0.0, requirement by requirement',
    '',
    'Every requirement that applies to the kit with its sample service: where it is enforced and the test that proves it,',
    'or the room that will bring it. The wording is a paraphrase; the requirements are © OWASP Foundation, the paraphrases an',
    'adaptation of them, both under [CC BY-SA 4.0](../test/standards/ASVS-LICENSE.md). What does not apply, and why:',
    '[asvs-left-out.tsv](../test/standards/asvs-left-out.tsv).',
    '',
    '| level | applicable | enforced | documented | open |',
    '| --- | --- | --- | --- | --- |',
    ...levels,
    ...sections(
      grouped([...requirements.values()], (each) => each.chapter),
      ['| id | level | requirement | state | where | proof |', '| --- | --- | --- | --- | --- | --- |'],
      ({ id, level, says }) => {
        const { state, room, text, tests } = asvs.get(id) ?? { state: '', room: '', text: '', tests: [] };
        const where = text
          .split(' ')
          .filter((path) => path !== '')
          .map(link)
          .join('<br>');
        return `| ${id} | ${level} | ${cell(says)} | ${state === 'room' ? `open: ${room}` : state} | ${where} | ${proofs(tests)} |`;
      },
    ),
    END,
  ].join('\n');
}

function attacksPage() {
  return [
    GENERATED,
    '# The attack catalogue, case by case',
    '',
    'What each case does and what alone is safe: [the catalogue](../test/attacks/attacks.md).',
    `Of ${cases.size} cases ${count(attacks, 'test')} are proven by a test, ${count(attacks, 'later')} wait for their room,` +
      ` ${count(attacks, 'n/a')} cannot apply.`,
    ...sections(
      grouped([...cases.values()], (each) => `${each.id.split('-')[0]}: ${each.family}`),
      ['| case | severity | | state | proof |', '| --- | --- | --- | --- | --- |'],
      ({ id, severity, title }) => {
        const { state, room, text, tests } = attacks.get(id) ?? { state: '', room: '', text: '', tests: [] };
        const proof = [text === '' ? '' : cell(text), proofs(tests)]
          .filter((part) => part !== '')
          .join('<br>');
        return `| ${id} | ${severity} | ${cell(title)} | ${state === 'later' ? `later: ${room}` : state} | ${proof} |`;
      },
    ),
    END,
  ].join('\n');
}

const pages = [
  ['docs/asvs.md', asvsPage()],
  ['docs/attacks.md', attacksPage()],
];

if (has('--suggest') || has('--apply')) suggest(results());
else if (has('--check') || has('--rows')) {
  for (const [path, page] of pages) {
    if (!existsSync(join(root, path)) || read(path) !== page)
      faults.push(`${path} is stale: run npm run ledgers`);
  }
  if (has('--check')) proveBy(results());
} else for (const [path, page] of pages) writeFileSync(join(root, path), page);

for (const fault of faults) console.error(`ledgers: ${fault}`);
if (faults.length === 0) {
  console.log(
    `ledgers: ${asvs.size} requirements (${count(asvs, 'room')} open), ${cases.size} cases (${count(attacks, 'later')} later)`,
  );
}
process.exitCode = faults.length > 0 ? 1 : 0;
