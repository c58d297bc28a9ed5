// npm run bench:decisions: what one decision costs however many grants there are, beside CASL and casbin, in one run.
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { build } from './build.mjs';
import { prepareDatabase } from './database.mjs';
import { median, table, writeBetweenMarkers } from './report.mjs';
import { cpus } from 'node:os';
import { CaslPeer, CasbinPeer } from './decision-peers.mjs';

const USAGE = `npm run bench:decisions -- [options]

One decision for a known subject, in nanoseconds, with 10, 1,000 and 100,000 grants in PostgreSQL, beside CASL (abilities
kept in memory) and casbin (its RBAC model, policies in memory); how long the first question of a subject takes; what
remembering 10,000 subjects takes. All in turn, again and again; medians.

  --rounds <n>    how often each is measured (default 7)
  --json          print the figures as JSON
  --write <file>  put the figures between the markers of this file, e.g. docs/performance.md
  --help          this text`;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    json: { type: 'boolean', default: false },
    write: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
if (values.help || !Number.isInteger(rounds) || rounds < 1) {
  console.log(values.help ? USAGE : `--rounds must be a whole number above 0\n\n${USAGE}`);
  process.exit(values.help ? 0 : 2);
}
const progress = (line) => console.error(line);

/** 50 roles of 4 permissions each, every second one inheriting the one before it. */
const ROLES = Array.from({ length: 50 }, (_, at) => ({
  name: `r${at}`,
  permissions: ['read', 'write', 'share', 'delete'].map((action) => `kind${at}:${action}`),
  inherits: at % 2 === 1 ? [`r${at - 1}`] : [],
}));
const SIZES = [10, 1_000, 100_000];
/** Known subjects that decisions go round. */
const ASKED = 1_000;
const REMEMBERED = 10_000;

build();
progress('building and starting');
const { stop, ...urls } = await prepareDatabase(1, progress);
try {
  const { KitDecisions } = await import('./servers/decisions.mjs');
  const kit = await KitDecisions.start(urls, ROLES);
  try {
    const sizes = [];
    for (const grants of SIZES) {
      progress(`${grants} grants`);
      const subjects = Array.from({ length: grants }, (_, at) => ({
        id: randomUUID(),
        role: ROLES[at % ROLES.length],
      }));
      await kit.grant(subjects);
      const peers = { casl: new CaslPeer(ROLES, subjects), casbin: await CasbinPeer.load(ROLES, subjects) };
      sizes.push({ grants, ...(await measured(kit, peers, subjects.slice(0, ASKED))) });
    }
    progress(`memory of ${REMEMBERED} subjects`);
    const memory = await kit.memoryOf(REMEMBERED);
    const figures = { sizes, memory };
    const text = markdown(figures);
    console.log(values.json ? JSON.stringify(figures, undefined, 2) : text);
    if (values.write !== undefined) await writeBetweenMarkers(values.write, text, 'npm run bench:decisions');
  } finally {
    await kit.stop();
  }
} finally {
  await stop();
}

async function measured(kit, peers, subjects) {
  // What each of them may do, and what nobody of them may: half of the questions are refused.
  const questions = subjects.map(({ id, role }, at) => ({
    id,
    permission: at % 2 === 0 ? role.permissions[1] : 'kind-none:read',
    expected: at % 2 === 0,
  }));
  const firstSight = await kit.firstSight(questions);
  const ways = {
    kit: (question) => kit.decides(question),
    'kit-object': (question) => kit.decidesOnObject(question),
    casl: (question) => peers.casl.decides(question),
    casbin: (question) => peers.casbin.decides(question),
  };
  for (const [name, decides] of Object.entries(ways)) {
    await kit.settle(questions);
    for (const question of questions) {
      if (decides(question) !== question.expected) throw new Error(`${name} decides otherwise`);
    }
  }
  const times = Object.fromEntries(Object.keys(ways).map((name) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, decides] of Object.entries(ways)) {
      times[name].push(await nanosecondsOf(decides, questions, name, () => kit.settle(questions)));
    }
  }
  return {
    firstSightMs: firstSight,
    ...Object.fromEntries(Object.entries(times).map(([name, each]) => [name, median(each)])),
  };
}

/** In parts, so that the feed is heard in between: no service is busy with one question for a second. */
async function nanosecondsOf(decides, questions, name, settle) {
  const [parts, turns] = name === 'casbin' ? [1, 1] : [10, 10];
  let granted = 0;
  let spent = 0n;
  for (let part = 0; part < parts; part += 1) {
    await settle();
    const before = process.hrtime.bigint();
    for (let turn = 0; turn < turns; turn += 1) {
      for (let at = 0; at < questions.length; at += 1) if (decides(questions[at])) granted += 1;
    }
    spent += process.hrtime.bigint() - before;
  }
  if (granted !== (parts * turns * questions.length) / 2) {
    throw new Error(`${name} decides otherwise meanwhile`);
  }
  return Number(spent) / (parts * turns * questions.length);
}

function markdown({ sizes, memory }) {
  const ns = (value) =>
    value < 10_000 ? `${Math.round(value)} ns` : `${Math.round(value / 1000).toLocaleString('en')} µs`;
  const times = (value, kit) => `${ns(value)} (${(value / kit).toFixed(1)} ×)`;
  return [
    `_Node.js ${process.versions.node} · ${cpus()[0]?.model.trim() ?? 'unknown processor'} · ${rounds} rounds, medians · ${ROLES.length} roles, ${ROLES.length * 4} permissions, one grant a subject, half of the answers are no · ${new Date().toISOString().slice(0, 10)}_`,
    '',
    table(
      [
        'grants in the system',
        'the kit',
        'the kit, on an object',
        'CASL',
        'casbin',
        "a subject's first question",
      ],
      sizes.map((each) => [
        each.grants.toLocaleString('en'),
        `**${ns(each.kit)}**`,
        ns(each['kit-object']),
        times(each.casl, each.kit),
        times(each.casbin, each.kit),
        `${each.firstSightMs.toFixed(2)} ms`,
      ]),
    ),
    '',
    `What ${memory.subjects.toLocaleString('en')} remembered subjects take: ${(memory.bytes / 1024 / 1024).toFixed(1)} MiB,` +
      ` ${Math.round(memory.bytes / memory.subjects)} bytes each.`,
  ].join('\n');
}
