// npm run bench: what the kit costs, measured beside bare Nest and beside what people use today.
import { readArguments, USAGE } from './arguments.mjs';
import { CASES } from './cases.mjs';
import { assertServes, load, measure } from './measure.mjs';
import { LIVE_SESSIONS, prepare } from './prepare.mjs';
import { figuresOf, markdown, writeBetweenMarkers } from './report.mjs';
import { ServerProcess } from './server-process.mjs';

const WARM_UP_SECONDS = 2;

const options = readArguments(
  process.argv.slice(2),
  CASES.map(({ name }) => name),
);
if (typeof options === 'string') {
  console.error(`${options}\n\n${USAGE}`);
  process.exit(2);
}
if (options.help) {
  console.log(
    `${USAGE}\n\nCases:\n${CASES.map(({ name, title }) => `  ${name.padEnd(14)} ${title}`).join('\n')}`,
  );
  process.exit(0);
}
const progress = (line) => console.error(line);
const cases = CASES.filter(({ name }) => options.cases.includes(name));

const runs = {};
let prepared;
try {
  prepared = await prepare(cases, progress);
  for (const adapter of options.adapters) runs[adapter] = await measureAdapter(adapter, prepared);
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await prepared?.close();
}

if (process.exitCode !== 1) {
  const figures = figuresOf(runs, cases);
  const text = markdown(figures, options, prepared.pinned);
  console.log(
    options.json ? JSON.stringify({ options, pinned: prepared.pinned, figures, runs }, undefined, 2) : text,
  );
  if (options.write !== undefined) await writeBetweenMarkers(options.write, text);
}

/** Every case of one adapter, interleaved: in each round all of them in turn, so that a slow minute is everybody's. */
async function measureAdapter(adapter, { settings, tokens }) {
  const servers = new Map();
  const measured = Object.fromEntries(cases.map(({ name }) => [name, []]));
  const amounts = new Map();
  try {
    for (const { name, server, rooms, tokens: kind, guarded } of cases) {
      progress(`${adapter}: starting ${name}`);
      const started = await ServerProcess.start(server, { ...settings, adapter, rooms });
      servers.set(name, started);
      await assertServes(started, await tokens.of(kind), guarded);
      // Every session several times: what the first sight of a token costs is measured by bench:sessions.
      await load(started.url, await tokens.of(kind), { ...options, amount: 5 * LIVE_SESSIONS });
      const warm = await load(started.url, await tokens.of(kind), { ...options, duration: WARM_UP_SECONDS });
      amounts.set(name, Math.ceil((warm.requests / warm.seconds) * options.seconds));
    }
    for (let round = 1; round <= options.rounds; round += 1) {
      for (const { name, tokens: kind } of cases) {
        const { connections } = options;
        const amount = amounts.get(name);
        const result = await measure(servers.get(name), await tokens.of(kind), { connections, amount });
        measured[name].push(result);
        const { requestsPerSecond, cpuMicroseconds } = result;
        progress(
          `${adapter} ${round}/${options.rounds} ${name}: ${requestsPerSecond.toFixed(0)}/s, ${cpuMicroseconds.toFixed(1)} µs`,
        );
      }
    }
  } finally {
    for (const server of servers.values()) await server.stop();
  }
  return measured;
}
