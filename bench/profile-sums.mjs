// From a CPU profile to sums: self time by function, and by the room or package that the time is spent for.

/** The room, or package, that a frame's own lines belong to; undefined for Node.js and V8, which work for others. */
function ownerOf({ url, functionName }) {
  if (functionName === '(garbage collector)') return 'garbage collection';
  const room = /\/dist\/([a-z-]+)\/.+\.js$/.exec(url);
  if (room && !url.includes('/node_modules/')) return `src/${room[1]}`;
  const found = /\/node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*\/node_modules\/)/.exec(url);
  return found ? packageOf(found[1]) : undefined;
}

function packageOf(name) {
  if (name === '@nestjs/core' || name === '@nestjs/common' || name === 'rxjs') return 'Nest';
  if (name.startsWith('@nestjs/platform-')) return 'Nest';
  if (name === 'fastify' || name.startsWith('@fastify/') || name === 'find-my-way') return 'Fastify';
  if (['express', 'router', 'body-parser', 'finalhandler', 'path-to-regexp', 'send'].includes(name))
    return 'Express';
  return ['pg', 'pg-protocol', 'typeorm', 'pg-pool'].includes(name) ? 'PostgreSQL' : name;
}

/** Idle, or at work on the profile itself. */
const isNoPart = ({ functionName, url }) => functionName === '(idle)' || url.startsWith('node:inspector');

/** Between two samples lies the time of the clock: beyond this, others had the processor. */
const LONGEST_DELTA = 400;

/**
 * Calls `take` with each node, the microseconds of its own lines a request, and the owner of its nearest caller.
 *
 * @param cpu microseconds of CPU a request, as the system counted them: the samples say how they are shared out
 */
function walk({ nodes, samples, timeDeltas }, cpu, take) {
  const own = new Map();
  const byId = new Map(nodes.map((node) => [node.id, node]));
  let total = 0;
  for (const [at, id] of samples.entries()) {
    if (isNoPart(byId.get(id).callFrame)) continue;
    const delta = Math.min(timeDeltas[at], LONGEST_DELTA);
    own.set(id, (own.get(id) ?? 0) + delta);
    total += delta;
  }
  const pending = [[nodes[0], undefined]];
  while (pending.length > 0) {
    const [node, caller] = pending.pop();
    const owner = ownerOf(node.callFrame);
    const payer = owner ?? caller;
    if (!isNoPart(node.callFrame))
      take(node.callFrame, ((own.get(node.id) ?? 0) / total) * cpu, owner, payer);
    for (const id of node.children ?? []) pending.push([byId.get(id), payer]);
  }
}

/** @returns for each room and package its own microseconds a request, and those with what it calls of Node.js. */
export function roomsOf(profile, cpu) {
  const sums = new Map();
  const sumOf = (name) => {
    if (!sums.has(name)) sums.set(name, { self: 0, withNode: 0 });
    return sums.get(name);
  };
  walk(profile, cpu, ({ functionName }, microseconds, owner, payer) => {
    const nobody = functionName === '(program)' ? 'the system and native code' : 'Node.js on its own account';
    sumOf(owner ?? nobody).self += owner === undefined && payer !== undefined ? 0 : microseconds;
    sumOf(payer ?? nobody).withNode += microseconds;
  });
  return sums;
}

/** @returns for each function its own microseconds a request. */
export function functionsOf(profile, cpu) {
  const sums = new Map();
  walk(profile, cpu, ({ functionName, url, lineNumber }, microseconds) => {
    const place = url.replace(/^.*\/(?=dist\/)|^.*\/node_modules\//, '');
    const name =
      `${functionName || '(anonymous)'} ${place === '' ? '' : `${place}:${lineNumber + 1}`}`.trim();
    sums.set(name, (sums.get(name) ?? 0) + microseconds);
  });
  return sums;
}
