// node bench/profile.mjs: where the microseconds of a request go, by room and by function.
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { CASES } from './cases.mjs';
import { load, measure } from './measure.mjs';
import { prepare } from './prepare.mjs';
import { roomsOf, functionsOf } from './profile-sums.mjs';
import { table } from './report.mjs';
import { ServerProcess } from './server-process.mjs';

const USAGE = `node bench/profile.mjs [options]

Takes a CPU profile of a server under load and sums it up: by room (what its own lines cost, and what they cost with
the parts of Node.js that they call), and by function. Bare Nest is profiled beside it.

  --adapter <name>   express or fastify (default express)
  --case <name>      a case of the benchmark (default kit)
  --seconds <n>      length of the profile (default 8)
  --connections <n>  connections of the load generator (default 64)
  --top <n>          functions that are listed (default 30)
  --save <file>      writes the profile itself, for the DevTools of Chromium
  --help             this text`;

const { values } = parseArgs({
  options: {
    adapter: { type: 'string', default: 'express' },
    case: { type: 'string', default: 'kit' },
    seconds: { type: 'string', default: '8' },
    connections: { type: 'string', default: '64' },
    top: { type: 'string', default: '30' },
    save: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const [seconds, connections, top] = [values.seconds, values.connections, values.top].map(Number);
const chosen = CASES.find(({ name }) => name === values.case);
if (values.help || !chosen || !(seconds > 0 && connections > 0 && top >= 0)) {
  console.log(USAGE);
  process.exit(values.help ? 0 : 2);
}

const cases = [CASES.find(({ name }) => name === 'bare'), chosen];
const { settings, tokens, close } = await prepare(cases, (line) => console.error(line));
try {
  const profiles = [];
  for (const each of cases) profiles.push(await profileOf(each));
  const [bare, kit] = profiles;
  console.log(
    `_Node.js ${process.versions.node}, ${values.adapter}: ${kit.cpu.toFixed(1)} µs of CPU a request, bare Nest ${bare.cpu.toFixed(1)} µs; profiled, so a little slower than measured_\n`,
  );
  const [rooms, bareRooms] = [roomsOf(kit.profile, kit.requests), roomsOf(bare.profile, bare.requests)];
  const names = [...new Set([...rooms.keys(), ...bareRooms.keys()])];
  const figure = (sums, name, field) => sums.get(name)?.[field] ?? 0;
  const rows = names
    .map((name) => [
      name,
      figure(rooms, name, 'self'),
      figure(rooms, name, 'withNode'),
      figure(bareRooms, name, 'withNode'),
    ])
    .sort((a, b) => b[2] - b[3] - (a[2] - a[3]));
  console.log(
    table(
      ['room', 'own lines', 'with what it calls of Node.js', 'the same in bare Nest', 'more than bare'],
      rows.map(([name, self, withNode, before]) => [
        name,
        ...[self, withNode, before, withNode - before].map(microseconds),
      ]),
    ),
  );
  if (top > 0) {
    const bareFunctions = functionsOf(bare.profile, bare.requests);
    const ownFunctions = functionsOf(kit.profile, kit.requests);
    const functions = [...new Set([...ownFunctions.keys(), ...bareFunctions.keys()])]
      .map((name) => [name, ownFunctions.get(name) ?? 0, bareFunctions.get(name) ?? 0])
      .sort((a, b) => Math.abs(b[1] - b[2]) - Math.abs(a[1] - a[2]))
      .slice(0, top);
    console.log(
      `\n${table(
        ['function', 'own lines', 'in bare Nest'],
        functions.map(([name, ...figures]) => [name, ...figures.map(microseconds)]),
      )}`,
    );
  }
  if (values.save !== undefined) await writeFile(values.save, JSON.stringify(kit.profile));
} finally {
  await close();
}

function microseconds(value) {
  return `${value.toFixed(2)} µs`;
}

async function profileOf({ server: file, tokens: kind, rooms }) {
  const server = await ServerProcess.start(file, { ...settings, adapter: values.adapter, rooms });
  try {
    await load(server.url, await tokens.of(kind), { connections, amount: 5 * settings.sessions });
    const warm = await load(server.url, await tokens.of(kind), { connections, duration: 2 });
    const amount = Math.ceil((warm.requests / warm.seconds) * seconds);
    await server.ask('profile');
    const { cpuMicroseconds } = await measure(server, await tokens.of(kind), { connections, amount });
    const { profile } = await server.ask('profiled');
    return { cpu: cpuMicroseconds, requests: amount, profile };
  } finally {
    await server.stop();
  }
}
