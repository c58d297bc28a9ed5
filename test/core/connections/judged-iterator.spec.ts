import { expect, test, vi } from 'vitest';
import { isSource, JudgedIterator, type Source } from '../../../src/core/connections/judged-iterator.js';

const REFUSED = new Error('permission-denied');
const OVER = { done: true, value: undefined };

/** A source that answers when a test lets it. */
function slow(): Source & {
  readonly answers: ((result: IteratorResult<unknown>) => void)[];
  returned: number;
} {
  return {
    answers: [],
    returned: 0,
    next() {
      return new Promise((resolve) => this.answers.push(resolve));
    },
    return(value) {
      this.returned += 1;
      return Promise.resolve({ done: true, value });
    },
  };
}

function judged(source: Source): { stream: JudgedIterator; over: ReturnType<typeof vi.fn<() => void>> } {
  const stream = new JudgedIterator(source, (work) => work());
  const over = vi.fn<() => void>();
  stream.onceOver(over);
  return { stream, over };
}

test('hands on what its source says, in its order, and is over with it', async () => {
  const { stream, over } = judged(
    (async function* () {
      yield* await Promise.resolve(['one', 'two']);
    })(),
  );
  const said: unknown[] = [];
  for await (const each of stream) said.push(each);
  expect(said).toEqual(['one', 'two']);
  expect(over).toHaveBeenCalledTimes(1);
  expect(await stream.next()).toEqual(OVER);
});

test('RBAC-13 whoever waits hears of its end, and so does whoever asks after', async () => {
  const source = slow();
  const { stream, over } = judged(source);
  const waiting = Promise.allSettled([stream.next(), stream.next()]);
  stream.end(REFUSED);
  const rejected = { status: 'rejected', reason: REFUSED };
  expect(await waiting).toEqual([rejected, rejected]);
  await expect(stream.next()).rejects.toBe(REFUSED);
  expect([source.answers.length, source.returned, over.mock.calls.length]).toEqual([2, 1, 1]);
});

test('RBAC-13 what its source says after its end reaches nobody', async () => {
  const source = slow();
  const { stream } = judged(source);
  const waiting = stream.next();
  stream.end(REFUSED);
  source.answers[0]?.({ done: false, value: 'secret' });
  await expect(waiting).rejects.toBe(REFUSED);
});

test('RBAC-13 what its source said in the very turn of its end reaches nobody either', async () => {
  const source = slow();
  const { stream } = judged(source);
  const waiting = stream.next();
  source.answers[0]?.({ done: false, value: 'secret' });
  stream.end(REFUSED);
  await expect(waiting).rejects.toBe(REFUSED);
});

test.each<[string, Source]>([
  ['fails', { next: () => Promise.reject(REFUSED) }],
  [
    'throws at once',
    {
      next: () => {
        throw REFUSED;
      },
    },
  ],
])('a source that %s is over, and says why', async (_how, source) => {
  const { stream, over } = judged(source);
  await expect(stream.next()).rejects.toBe(REFUSED);
  expect(over).toHaveBeenCalledTimes(1);
});

test('a source that does not let go is over all the same', async () => {
  const { stream, over } = judged({
    next: () => new Promise(() => undefined),
    return: () => {
      throw new Error('it does not let go');
    },
  });
  const waiting = stream.next();
  stream.end(REFUSED);
  await expect(waiting).rejects.toBe(REFUSED);
  expect(over).toHaveBeenCalledTimes(1);
});

test('whoever serves it may leave it, or throw into it, whatever its source has a word for', async () => {
  const left = slow();
  const { stream, over } = judged(left);
  expect(await stream.return('value')).toEqual({ done: true, value: 'value' });
  await stream.return();
  expect([left.returned, over.mock.calls.length]).toEqual([2, 1]);

  const thrown = slow();
  await expect(judged(thrown).stream.throw(REFUSED)).rejects.toBe(REFUSED);
  expect(thrown.returned).toBe(1);
  const caught = { ...slow(), throw: (error: unknown) => Promise.resolve({ done: true, value: error }) };
  expect(await judged(caught).stream.throw(REFUSED)).toEqual({ done: true, value: REFUSED });
  expect(await judged({ next: () => Promise.resolve(OVER) as never }).stream.return()).toEqual(OVER);
});

test('an iterable is asked for its iterator once; what is neither is no source', async () => {
  const iterate = vi.fn(() => slow() as AsyncIterator<unknown>);
  const { stream } = judged({ [Symbol.asyncIterator]: iterate });
  await stream.return();
  await stream.return();
  expect(iterate).toHaveBeenCalledTimes(1);
  expect([{}, null, undefined, 'text', { next: 1 }].filter(isSource)).toEqual([]);
});
