import { isObservable, Observable } from 'rxjs';
import type { LetIn } from './open-connection.js';
import type { OpenStreams } from './open-streams.js';
import { RequestContext } from '../request-context.js';
import { WatchedAnswer } from './watched-answer.js';
import { wrapped } from '../wrapped-method.js';

type Method = (this: unknown, ...given: never[]) => unknown;

interface LetInMessage {
  readonly streams: OpenStreams;
  readonly call: LetIn;
  readonly connection: object | undefined;
}

/** By the context of a message that was let in: two applications in one process may share its handler. */
const letIn = new WeakMap<RequestContext, LetInMessage>();
/** What is on its way to answer it. */
const answers = new WeakMap<RequestContext, WatchedAnswer>();
/** For which messages a handler is at work: what it asks of another one is no answer, and may be shared by many. */
const atWork = new WeakSet<RequestContext>();
const looking = new WeakSet<Method>();

/** Says that the answer to a message is judged for as long as it streams. @param connection the socket that it came by */
export function judgeAnswer(streams: OpenStreams, call: LetIn, connection?: object): void {
  letIn.set(call.context, { streams, call, connection });
}

/** The same answer to a message, for as long as its caller may have it. */
export function watchedAnswer(context: RequestContext, source: Observable<unknown>): Observable<unknown> {
  const message = letIn.get(context);
  if (!message) return source;
  const { streams, call, connection } = message;
  return new Observable((subscriber) => {
    const answer = new WatchedAnswer(streams, call, connection, subscriber);
    answers.set(context, answer);
    answer.follow(source);
    return () => {
      answer.stop();
    };
  });
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
    const context = RequestContext.current();
    const onItsWay = context && answers.get(context);
    if (!onItsWay || atWork.has(context)) return method.apply(this, given);
    const answered = (answer: unknown): void => {
      atWork.delete(context);
      onItsWay.handlerAnswered(isObservable(answer));
    };
    atWork.add(context);
    onItsWay.handlerBegins();
    let isPromised = false;
    let answer: unknown;
    try {
      answer = method.apply(this, given);
      isPromised = isThenable(answer);
    } finally {
      if (!isPromised) answered(answer);
    }
    if (!isPromised) return answer;
    return Promise.resolve(answer).then(
      (settled) => {
        answered(settled);
        return settled;
      },
      (error: unknown) => {
        answered(undefined);
        throw error;
      },
    );
  };
}

function isThenable(answer: unknown): boolean {
  return typeof (answer as Partial<PromiseLike<unknown>> | null | undefined)?.then === 'function';
}
