// From measurements to figures: medians, ratios to bare Nest on the same adapter, a table.
import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';

const begin = (command) =>
  `<!-- figures: ${command}${command.startsWith('npm ') ? ' --' : ''} --write docs/performance.md -->`;
const END = '<!-- end of figures -->';
/** Below, a server waited for its clients now and then: it may be faster than its rate. */
const BUSY = 0.9;
/** What the finished kit may add, in CPU and of the rate of bare Nest on the same adapter (Node.js 24). */
const AIM = { microseconds: 8, express: 0.85, fastify: 0.72 };

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** @returns for each adapter and case the medians, and the ratios to bare Nest taken round by round. */
export function figuresOf(runs, cases) {
  return Object.entries(runs).map(([adapter, measured]) => ({
    adapter,
    cases: cases.map(({ name, title, rooms }, place) => {
      const rounds = measured[name];
      // What a room adds is seen beside the case without it; the first of them beside bare Nest.
      const before = measured[rooms?.length > 0 ? cases[place - 1].name : 'bare'];
      const figure = (field) => median(rounds.map((round) => round[field]));
      const against = (field) => median(rounds.map((round, at) => round[field] / measured.bare[at][field]));
      return {
        name,
        title,
        isStep: rooms !== undefined,
        requestsPerSecond: Math.round(figure('requestsPerSecond')),
        rateOfBare: against('requestsPerSecond'),
        p99Ms: figure('p99Ms'),
        cpuMicroseconds: figure('cpuMicroseconds'),
        addedMicroseconds: median(
          rounds.map((round, at) => round.cpuMicroseconds - measured.bare[at].cpuMicroseconds),
        ),
        addedByRoom: median(rounds.map((round, at) => round.cpuMicroseconds - before[at].cpuMicroseconds)),
        waited: figure('serverBusy') < BUSY,
      };
    }),
  }));
}

const row = (cells) => `| ${cells.join(' | ')} |`;
export const table = (head, rows) => [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n');

function adapterTables({ adapter, cases }) {
  const name = adapter === 'express' ? 'Express' : 'Fastify';
  const stacks = cases.filter(({ isStep }) => !isStep);
  const steps = cases.filter(({ isStep }) => isStep);
  const parts = [
    `### ${name}`,
    table(
      [
        'the protected route on',
        'requests a second, of bare Nest',
        'CPU a request',
        'added',
        'requests a second',
        'p99',
      ],
      stacks.map((each) => [
        each.title,
        `**${each.rateOfBare.toFixed(2)}**${each.waited ? ' ¹' : ''}`,
        `${each.cpuMicroseconds.toFixed(0)} µs`,
        each.name === 'bare' ? '–' : `${each.addedMicroseconds.toFixed(1)} µs`,
        each.requestsPerSecond.toLocaleString('en'),
        `${each.p99Ms.toFixed(1)} ms`,
      ]),
    ),
  ];
  if (steps.length > 0) {
    const rows = steps.map(({ title, addedByRoom, cpuMicroseconds }) => [
      title,
      `${addedByRoom.toFixed(1)} µs`,
      `${cpuMicroseconds.toFixed(0)} µs`,
    ]);
    parts.push(
      `What each room of the kit adds (${name}):`,
      table(['room after room', 'adds', 'CPU a request'], rows),
    );
  }
  return parts.join('\n\n');
}

export function markdown(figures, { seconds, rounds, connections }, pinned) {
  const facts = [
    `Node.js ${process.versions.node}`,
    `${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${availableParallelism()} cores`,
    `${connections} connections, ${rounds} rounds of ${seconds} s each, medians`,
    pinned
      ? 'server on one core, load generator and PostgreSQL on another'
      : 'server and load generator not pinned to cores',
    new Date().toISOString().slice(0, 10),
  ];
  const parts = [`_${facts.join(' · ')}_`, ...figures.map(adapterTables)];
  parts.push(
    `The aim for everything on: at most ${AIM.microseconds} µs added; ${AIM.express} of bare Nest's rate on Express, ${AIM.fastify} on Fastify.`,
  );
  if (figures.some(({ cases }) => cases.some((each) => each.waited))) {
    parts.push('¹ The server was not busy all the time: it may be faster than this rate.');
  }
  return parts.join('\n\n');
}

/** Replaces what stands between the markers of a file. @throws when it has none: nothing is written then. */
export async function writeBetweenMarkers(file, text, command = 'npm run bench') {
  const before = await readFile(file, 'utf8');
  const from = before.indexOf(begin(command));
  const to = before.indexOf(END, from);
  if (from < 0 || to < from)
    throw new Error(`${file} has no place for figures: put "${begin(command)}" and "${END}" into it`);
  await writeFile(
    file,
    `${before.slice(0, from + begin(command).length)}\n\n<!-- prettier-ignore-start -->\n\n${text}\n\n<!-- prettier-ignore-end -->\n\n${before.slice(to)}`,
  );
}
