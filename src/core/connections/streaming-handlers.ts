import { isObservable, type Observable } from 'rxjs';
import type { LetIn } from './open-connection.js';
import type { OpenStreams } from './open-streams.js';
import { RequestContext } from '../request-context.js';
import { wrapped } from '../wrapped-method.js';

type Method = (this: unknown, ...given: never[]) => unknown;
type Judge = (source: Observable<unknown>) => Observable<unknown>;

/** By the context of a message that was let in: two applications in one process may share its handler. */
const judges = new WeakMap<RequestContext, Judge>();
/** For which message a stream is judged already: a handler may hand on what the one that it overrides has answered. */
const judgedFor = new WeakMap<Observable<unknown>, RequestContext>();
const looking = new WeakSet<Method>();

/** Says that the answer to a message is judged for as long as it streams. @param connection the socket that it came by */
export function judgeAnswer(streams: OpenStreams, call: LetIn, connection?: object): void {
  judges.set(call.context, (source) => streams.judged(source, call, connection));
}

/**
 * Has the methods of a class that answer messages looked at for streams. On the method, because an interceptor sees what
 * an answer says, and not whether more is to come; on the class that has it, so that what is inherited stays inherited.
 */
export function lookForStreams(prototype: object, handlerMark: string): void {
  for (let owner: unknown = prototype; isOwner(owner); owner = Object.getPrototypeOf(owner)) {
    for (const [name, { value, ...rest }] of Object.entries(Object.getOwnPropertyDescriptors(owner))) {
      const method = value as unknown;
      if (!isMethod(method) || looking.has(method) || !Reflect.hasOwnMetadata(handlerMark, method)) continue;
      const looks = wrapped(method, looksAtAnswer(method));
      looking.add(looks);
      Object.defineProperty(owner, name, { ...rest, value: looks });
    }
  }
}

function isOwner(owner: unknown): owner is object {
  return typeof owner === 'object' && owner !== null && owner !== Object.prototype;
}

function isMethod(value: unknown): value is Method {
  return typeof value === 'function';
}

function looksAtAnswer(method: Method): Method {
  return function (...given) {
    const answer = method.apply(this, given);
    const context = RequestContext.current();
    const judge = context && judges.get(context);
    if (!judge) return answer;
    const judged = (settled: unknown): unknown => {
      if (!isObservable(settled) || judgedFor.get(settled) === context) return settled;
      const stream = judge(settled);
      judgedFor.set(stream, context);
      return stream;
    };
    const isPromised =
      typeof (answer as Partial<PromiseLike<unknown>> | null | undefined)?.then === 'function';
    return isPromised ? Promise.resolve(answer).then(judged) : judged(answer);
  };
}
