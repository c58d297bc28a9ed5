// What one may ask of the benchmark.
import { parseArgs } from 'node:util';

export const USAGE = `npm run bench -- [options]

Measures a permission-protected route of the kit against the same route on bare Nest, beside the stacks that people
use today. Every case is a process of its own; all of them are measured in turn, again and again, and the medians are
printed. Writes nothing but the build, unless told to.

  --seconds <n>      length of one measurement (default 3)
  --rounds <n>       how often each case is measured (default 5)
  --connections <n>  connections of the load generator (default 64)
  --adapters <list>  express, fastify or both (default express,fastify)
  --cases <list>     names of cases (default all; see below); bare is always measured
  --json             print the figures as JSON on standard output, nothing else there
  --write <file>     put the figures between the markers of this file, e.g. docs/performance.md
  --help             this text`;

const LISTS = { adapters: ['express', 'fastify'] };

/** @returns the options, or a text that says what is wrong with them. */
export function readArguments(argv, caseNames) {
  let values;
  try {
    ({ values } = parseArgs({
      args: argv,
      options: {
        seconds: { type: 'string', default: '3' },
        rounds: { type: 'string', default: '5' },
        connections: { type: 'string', default: '64' },
        adapters: { type: 'string', default: 'express,fastify' },
        cases: { type: 'string', default: caseNames.join(',') },
        json: { type: 'boolean', default: false },
        write: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    return error.message;
  }
  const options = { ...values };
  for (const [name, highest] of [
    ['seconds', 600],
    ['rounds', 100],
    ['connections', 1000],
  ]) {
    options[name] = Number(values[name]);
    if (!Number.isInteger(options[name]) || options[name] < 1 || options[name] > highest) {
      return `--${name} must be a whole number from 1 to ${highest}`;
    }
  }
  for (const [name, known] of [
    ['adapters', LISTS.adapters],
    ['cases', caseNames],
  ]) {
    options[name] = values[name].split(',').map((each) => each.trim());
    const unknown = options[name].filter((each) => !known.includes(each));
    if (unknown.length > 0) return `--${name} knows ${known.join(', ')}, not "${unknown.join('", "')}"`;
  }
  if (!options.cases.includes('bare')) options.cases.unshift('bare');
  return options;
}
