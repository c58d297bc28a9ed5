import { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';

/** What Node.js keeps of a request beside what it documents. */
interface KeptOfRequest {
  readonly _readableState?: {
    ended: boolean;
    flowing: boolean | null;
    readonly reading: boolean;
    readonly length: number;
  };
  _dumped?: boolean;
  /** Of an emitter: for how many events somebody listens. `eventNames()` of a stream costs more than all that is spared. */
  readonly _eventsCount?: number;
  /** Makes of it what it is when it was read, ended and closed; from Node.js 24 on. */
  readonly _dumpAndCloseReadable?: () => void;
}

const node = IncomingMessage.prototype as IncomingMessage & { _dump(): void };

/** Answered, and about to be told of its end. */
const ENDING = Symbol('nestjs-zero-trust:ending');

/**
 * A request whose end costs nothing where nobody waits for it. Of each request Node.js says in five ticks that it has ended,
 * also where it has no body, as most: the larger part of what a request costs as a stream. Here it takes two. Whoever
 * listens to a request, reads it, destroys it, or asks what became of it meets what Node.js would have left there. (But who
 * listens for `readable` only after a request without a body came hears `end` alone, as of Node.js a turn later; and who
 * comes when it is answered hears `resume` at another moment.)
 *
 * Express lends what is here to requests that another server has made: nothing in it may rely on the constructor.
 */
export class ServerRequest extends IncomingMessage {
  declare [ENDING]?: boolean;

  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    const { _readableState: state } = this as KeptOfRequest;
    if (chunk !== null || !state || state.reading || state.length > 0) return super.push(chunk, encoding);
    if (this.readableFlowing !== null || this.readableEncoding !== null) return super.push(null);
    if (this.listenerCount('readable') > 0) return super.push(null);
    // Who reads later finds that there is nothing left, and who listened for that hears it then.
    state.ended = true;
    return false;
  }

  /** Node.js calls it when the answer is sent and nobody has read the request. */
  _dump(): void {
    const { _readableState: state, _dumped: isDumped, _dumpAndCloseReadable } = this as KeptOfRequest;
    const isOver = isDumped === false && state?.ended === true && state.length === 0 && this.complete;
    if (!isOver || !isAlone(this) || this.destroyed || typeof _dumpAndCloseReadable !== 'function') {
      node._dump.call(this);
      return;
    }
    this[ENDING] = true;
    process.nextTick(endInATick, this);
  }

  override destroy(error?: Error): this {
    if (this[ENDING] === true) dumpAfterAll(this);
    return super.destroy(error);
  }
}

// On the prototype, as Node.js has it: its types know it as a property.
const ended = Object.getOwnPropertyDescriptor(Readable.prototype, 'readableEnded');
Object.defineProperty(ServerRequest.prototype, 'readableEnded', {
  get(this: ServerRequest): unknown {
    // The connection lets go of a request that says so.
    return this[ENDING] === true || ended?.get?.call(this);
  },
});

/** An answer's own listeners, to whom it is told in this tick, may still turn to the request. */
function endInATick(request: ServerRequest): void {
  process.nextTick(endUnlessSomebodyCame, request);
}

/** Who came meanwhile, because the answer was sent, is told of the end by Node.js. */
function endUnlessSomebodyCame(request: ServerRequest): void {
  if (request[ENDING] !== true) return;
  const { _readableState: state } = request as KeptOfRequest;
  if (!isAlone(request) || !state) {
    dumpAfterAll(request);
    return;
  }
  request[ENDING] = false;
  (request as KeptOfRequest)._dumpAndCloseReadable?.();
  state.flowing = true;
}

function dumpAfterAll(request: ServerRequest): void {
  request[ENDING] = false;
  node._dump.call(request);
}

const isAlone = (request: ServerRequest): boolean => (request as KeptOfRequest)._eventsCount === 0;
