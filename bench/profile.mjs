// node bench/profile.mjs: where the microseconds of a request go, by room and by function.
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { CASES } from './cases.mjs';
import { load, measure } from './measure.mjs';
import { prepare } from './prepare.mjs';
import { functionsOf, roomsOf } from './profile-sums.mjs';
import { table, writeBetweenMarkers } from './report.mjs';
import { ServerProcess } from './server-process.mjs';

const COMMAND = 'node bench/profile.mjs';
const USAGE = `${COMMAND} [options]

Takes a CPU profile of a server under load and sums it up: by room (what its own lines cost, and what they cost with
the parts of Node.js that they call), and by function. Bare Nest is profiled beside it.

  --adapter <name>   express, fastify or both (default express,fastify)
  --case <name>      a case of the benchmark (default kit)
  --seconds <n>      length of the profile (default 8)
  --connections <n>  connections of the load generator (default 64)
  --top <n>          functions that are listed (default 15)
  --save <file>      writes the profile itself, for the DevTools of Chromium
  --write <file>     puts the tables between the markers of this file, e.g. docs/performance.md
  --help             this text`;

const { values } = parseArgs({
  options: {
    adapter: { type: 'string', default: 'express,fastify' },
    case: { type: 'string', default: 'kit' },
    seconds: { type: 'string', default: '8' },
    connections: { type: 'string', default: '64' },
    top: { type: 'string', default: '15' },
    save: { type: 'string' },
    write: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const [seconds, connections, top] = [values.seconds, values.connections, values.top].map(Number);
const adapters = values.adapter.split(',');
const [bareCase, chosen] = ['bare', values.case].map((wanted) => CASES.find(({ name }) => name === wanted));
const isKnown = adapters.every((each) => ['express', 'fastify'].includes(each));
if (values.help || !chosen || !isKnown || !(seconds > 0 && connections > 0 && top >= 0)) {
  console.log(USAGE);
  process.exit(values.help ? 0 : 2);
}

const { settings, tokens, close } = await prepare([bareCase, chosen], (line) => console.error(line));
const parts = [];
try {
  for (const adapter of adapters) {
    const bare = await profileOf(adapter, bareCase);
    const kit = await profileOf(adapter, chosen);
    parts.push(...describe(adapter, bare, kit));
    if (values.save !== undefined) await writeFile(values.save, JSON.stringify(kit.profile));
  }
} finally {
  await close();
}
const text = parts.join('\n\n');
console.log(text);
if (values.write !== undefined) await writeBetweenMarkers(values.write, text, COMMAND);

function describe(adapter, bare, kit) {
  const [rooms, bareRooms] = [kit, bare].map(({ profile, cpu }) => roomsOf(profile, cpu));
  const [functions, bareFunctions] = [kit, bare].map(({ profile, cpu }) => functionsOf(profile, cpu));
  const none = { self: 0, withNode: 0 };
  const roomRows = [...new Set([...rooms.keys(), ...bareRooms.keys()])].map((name) => {
    const { self, withNode } = rooms.get(name) ?? none;
    const before = (bareRooms.get(name) ?? none).withNode;
    return [name, self, withNode, before, withNode - before];
  });
  const functionRows = [...functions].map(([name, self]) => [name, self, bareFunctions.get(name) ?? 0]);
  const worthALine = roomRows.filter(([, , withNode, before]) => Math.max(withNode, before) >= 0.05);
  return [
    `### ${adapter === 'express' ? 'Express' : 'Fastify'}, by room`,
    `_Node.js ${process.versions.node}, ${kit.cpu.toFixed(0)} µs of CPU a request against ${bare.cpu.toFixed(0)} µs of bare Nest, shared out by what was seen every 200 µs_`,
    table(
      ['room', 'its own lines', 'with what they call of Node.js', 'the same in bare Nest', 'more'],
      worthALine.sort((a, b) => b[4] - a[4]).map(inMicroseconds),
    ),
    ...(top === 0
      ? []
      : [
          table(
            ['function', 'its own lines', 'in bare Nest'],
            functionRows
              .sort((a, b) => b[1] - b[2] - (a[1] - a[2]))
              .slice(0, top)
              .map(inMicroseconds),
          ),
        ]),
  ];
}

function inMicroseconds([name, ...figures]) {
  return [name, ...figures.map((each) => `${each.toFixed(2)} µs`)];
}

async function profileOf(adapter, { server: file, tokens: kind, rooms }) {
  const server = await ServerProcess.start(file, { ...settings, adapter, rooms });
  try {
    await load(server.url, await tokens.of(kind), { connections, amount: 5 * settings.sessions });
    const warm = await load(server.url, await tokens.of(kind), { connections, duration: 2 });
    const amount = Math.ceil((warm.requests / warm.seconds) * seconds);
    // Without the profiler, which works in the same process.
    const { cpuMicroseconds } = await measure(server, await tokens.of(kind), { connections, amount });
    await server.ask('profile');
    await load(server.url, await tokens.of(kind), { connections, amount });
    const { profile } = await server.ask('profiled');
    return { cpu: cpuMicroseconds, profile };
  } finally {
    await server.stop();
  }
}
