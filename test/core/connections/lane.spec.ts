import type { ExecutionContext } from '@nestjs/common';
import { expect, test } from 'vitest';
import { Lane } from '../../../src/core/connections/lane.js';
import { OpenConnection } from '../../../src/core/connections/open-connection.js';
import type { Principal } from '../../../src/core/principal.js';
import { RequestContext } from '../../../src/core/request-context.js';

function openedBy(subject: string, kind: Principal['kind'] = 'account'): OpenConnection {
  const context = new RequestContext({ transport: 'ws', receivedAtMs: 0 });
  const execution = { getHandler: () => openedBy } as unknown as ExecutionContext;
  return new OpenConnection({}, { execution, context, principal: { kind, subject } }, () => undefined);
}

function laneOf(...all: readonly OpenConnection[]): Lane {
  const lane = new Lane();
  for (const each of all) lane.add(each);
  return lane;
}

/** Takes whoever's turn it is until there is room for nobody more. */
function takenFrom(lane: Lane): OpenConnection[] {
  const taken: OpenConnection[] = [];
  for (let open = lane.take(); open; open = lane.take()) taken.push(open);
  return taken;
}

const callersOf = (all: readonly OpenConnection[]): string[] => all.map(({ caller }) => caller);

test('callers take turns, however much one of them has asked before', () => {
  const [first, second, third] = [openedBy('many'), openedBy('many'), openedBy('many')];
  const [few, service] = [openedBy('few'), openedBy('many', 'service')];
  const lane = laneOf(first, second, third, few, service);
  expect(takenFrom(lane)).toEqual([first, few, service, second, third]);
});

test('nobody has more judged at once than there is room left for others, and never more than eight in all', () => {
  const callers = ['a', 'b', 'c', 'd', 'e'];
  const many = callers.map((caller) => Array.from({ length: 9 }, () => openedBy(caller)));
  const lane = laneOf(...many[0]!);
  expect(callersOf(takenFrom(lane))).toEqual(Array.from({ length: 4 }, () => 'account a'));
  for (const each of many.slice(1).flat()) lane.add(each);
  expect(callersOf(takenFrom(lane))).toEqual(['account b', 'account c', 'account d', 'account e']);
});

test('what leaves makes room once, whether it was answered or not', () => {
  const all = Array.from({ length: 9 }, (_, at) => openedBy(`caller ${String(at)}`));
  const lane = laneOf(...all);
  expect(takenFrom(lane)).toEqual(all.slice(0, 8));
  expect([lane.leave(all[0]!), lane.leave(all[0]!)]).toEqual([true, false]);
  expect(takenFrom(lane)).toEqual([all[8]]);
});

test('what leaves before its turn is not taken', () => {
  const [gone, kept] = [openedBy('one'), openedBy('one')];
  const lane = laneOf(gone, kept);
  expect(lane.leave(gone)).toBe(false);
  expect(takenFrom(lane)).toEqual([kept]);
});
