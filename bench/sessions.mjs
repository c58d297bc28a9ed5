// npm run bench:sessions: what refreshing, verifying and revoking cost, as ratios in one run.
import { randomBytes } from 'node:crypto';
import { Agent, request } from 'node:http';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { build } from './build.mjs';
import { prepareDatabase } from './database.mjs';
import { median, table, writeBetweenMarkers } from './report.mjs';
import { pinLoadGenerator, ServerProcess } from './server-process.mjs';

const USAGE = `npm run bench:sessions -- [options]

Refreshes a second through HTTP, without HTTP, and beside a bare UPDATE … RETURNING; verification of a new and of a known
token; how long until another process feels a revocation and a grant. All in turn, again and again; medians.

  --seconds <n>     length of one measurement (default 3)
  --rounds <n>      how often each is measured (default 5)
  --lanes <n>       refreshes under way at once (default 10)
  --revocations <n> how many are timed (default 300)
  --json            print the figures as JSON
  --write <file>    put the figures between the markers of this file, e.g. docs/performance.md
  --help            this text`;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '5' },
    lanes: { type: 'string', default: '10' },
    revocations: { type: 'string', default: '300' },
    json: { type: 'boolean', default: false },
    write: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
const [seconds, rounds, lanes, revocations] = ['seconds', 'rounds', 'lanes', 'revocations'].map((name) =>
  Number(values[name]),
);
if (![seconds, rounds, lanes, revocations].every((each) => Number.isInteger(each) && each > 0)) {
  console.error(`every number must be a whole one above 0\n\n${USAGE}`);
  process.exit(2);
}
const progress = (line) => console.error(line);

build();

const pinned = pinLoadGenerator();
const closing = [];
try {
  const { stop, users, ...urls } = await prepareDatabase(revocations, progress);
  closing.push(stop);
  const settings = {
    ...urls,
    subjects: users.ids,
    masterKey: randomBytes(32).toString('base64'),
    adapter: 'fastify',
    lanes,
    seconds,
  };
  const here = await ServerProcess.start('sessions', settings);
  closing.push(() => here.stop());
  const there = await ServerProcess.start('sessions', settings);
  closing.push(() => there.stop());
  await here.ask('prepare');

  const measured = { bare: [], service: [], http: [] };
  for (let round = 1; round <= rounds; round += 1) {
    measured.bare.push(await here.ask('bare'));
    measured.service.push(await here.ask('refresh'));
    measured.http.push(await refreshOverHttp(here));
    progress(`refresh ${round}/${rounds}`);
  }
  progress('verification');
  const verifications = [];
  for (let round = 0; round < 3; round += 1) verifications.push(await here.ask('verification'));
  progress('revocations');
  const felt = {
    revoke: await latencies('revoke', here, there),
    grant: await latencies('grant', here, there),
  };
  const figures = figuresOf(measured, verifications, felt);
  const text = markdown(figures);
  console.log(values.json ? JSON.stringify(figures, undefined, 2) : text);
  if (values.write !== undefined) await writeBetweenMarkers(values.write, text, 'npm run bench:sessions');
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  for (const close of closing.reverse()) await close();
}

/** Each lane refreshes its own token over a connection of its own, one after the other. */
async function refreshOverHttp(server) {
  const { tokens } = await server.ask('tokens');
  const agent = new Agent({ keepAlive: true, maxSockets: lanes });
  const before = await server.cpuMicroseconds();
  const started = performance.now();
  const endsAt = started + seconds * 1000;
  let done = 0;
  await Promise.all(
    tokens.map(async (first) => {
      for (let token = first; performance.now() < endsAt; done += 1)
        token = await refreshOnce(server, agent, token);
    }),
  );
  const elapsed = (performance.now() - started) / 1000;
  agent.destroy();
  return { done, seconds: elapsed, cpuMicroseconds: ((await server.cpuMicroseconds()) - before) / done };
}

function refreshOnce(server, agent, refreshToken) {
  return new Promise((resolve, reject) => {
    const body = JSON.stringify({ refreshToken });
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const sent = request(`${server.url}/auth/refresh`, { method: 'POST', agent, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
      response.on('end', () => {
        if (response.statusCode === 200) resolve(JSON.parse(text).refreshToken);
        else reject(new Error(`refresh answered ${response.statusCode}: ${text}`));
      });
    });
    sent.on('error', reject).end(body);
  });
}

/** From the end of the call that changed something here to the moment at which the other process has heard of it. */
async function latencies(kind, here, there) {
  const changed = [];
  for (let count = 0; count < revocations; count += 1) changed.push(await here.ask(kind));
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const { heard } = await there.ask('heard');
  return changed
    .map(({ id, atNs }) => Number(BigInt(heard[id]) - BigInt(atNs)) / 1e6)
    .map((ms) => Math.max(0, ms))
    .sort((a, b) => a - b);
}

function figuresOf({ bare, service, http }, verifications, felt) {
  const rate = ({ done, seconds: took }) => done / took;
  const against = (cases) => median(cases.map((each, at) => rate(each) / rate(bare[at])));
  const of = (cases) => ({
    perSecond: Math.round(median(cases.map(rate))),
    ofBare: against(cases),
    cpuMicroseconds: median(cases.map((each) => each.cpuMicroseconds)),
  });
  const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  const spread = (sorted) => ({ p50: at(sorted, 0.5), p99: at(sorted, 0.99), max: sorted.at(-1) });
  return {
    refresh: { bare: of(bare), service: of(service), http: of(http) },
    verification: Object.fromEntries(
      ['known', 'signature', 'fresh'].map((name) => [name, median(verifications.map((each) => each[name]))]),
    ),
    felt: { revocation: spread(felt.revoke), grant: spread(felt.grant) },
  };
}

function markdown({ refresh, verification, felt }) {
  const us = (value) => `${value < 10 ? value.toFixed(1) : value.toFixed(0)} µs`;
  const row = (title, { perSecond, ofBare, cpuMicroseconds }) => [
    title,
    `**${ofBare.toFixed(2)}**`,
    perSecond.toLocaleString('en'),
    us(cpuMicroseconds),
  ];
  const ms = ({ p50, p99, max }) => [p50, p99, max].map((each) => `${each.toFixed(1)} ms`);
  return [
    `_Node.js ${process.versions.node} · ${cpus()[0]?.model.trim()} · ${lanes} at a time, ${rounds} rounds of ${seconds} s, medians · ${pinned ? 'replicas on one core, callers and PostgreSQL on another' : 'not pinned to cores'} · ${new Date().toISOString().slice(0, 10)}_`,
    table(
      ['refreshing', 'of the bare statement', 'a second', 'CPU of the replica'],
      [
        row('a bare `UPDATE … RETURNING` on the same table, same driver', refresh.bare),
        row('rotation without HTTP: MAC, rotation, ES256 signature', refresh.service),
        row('`POST /auth/refresh`, everything on', refresh.http),
      ],
    ),
    table(
      ['proving a token', 'CPU'],
      [
        ['one that is known: hash, freshness, look-ups', us(verification.known)],
        ['signature and claims (ES256)', us(verification.signature)],
        ['one that is new: signature, claims, session read', us(verification.fresh)],
      ],
    ),
    table(
      [`until another process has heard of it (${revocations} times)`, 'p50', 'p99', 'longest'],
      [
        ['a revoked session', ...ms(felt.revocation)],
        ['a new grant', ...ms(felt.grant)],
      ],
    ),
  ].join('\n\n');
}
