import { Catch, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { throwError, type Observable } from 'rxjs';
import { ZeroTrustError, type ErrorCode } from './zero-trust-error.js';

/** What a refused message is answered with: the public voice of a `ZeroTrustError`, and nothing else. */
export interface MessageProblem {
  readonly code: ErrorCode;
  /** The same number that a refused HTTP request gets. */
  readonly status: number;
  readonly errors?: ZeroTrustError['errors'];
}

export function messageProblemOf(error: ZeroTrustError): MessageProblem {
  const { code, status, errors } = error;
  return errors ? { code, status, errors } : { code, status };
}

interface SocketLike {
  readonly readyState?: unknown;
  send?(text: string): void;
  emit?(event: string, payload: unknown): void;
}

/**
 * Says on a microservice or a websocket what was refused; without it Nest answers "Internal server error", whatever
 * happened. `MessageHandlers` binds it to every message handler; a filter of the host on the same handler wins.
 */
@Catch(ZeroTrustError)
export class MessageProblemFilter implements ExceptionFilter<ZeroTrustError> {
  catch(error: ZeroTrustError, host: ArgumentsHost): Observable<never> | undefined {
    const type = host.getType<string>();
    const problem = messageProblemOf(error);
    if (type === 'rpc') return throwError(() => problem);
    // A method that is an HTTP route as well: the edge answers that.
    if (type !== 'ws') throw error;
    const client = host.switchToWs().getClient<SocketLike>();
    // A bare WebSocket is an EventEmitter too, whose emit() reaches nobody outside (as in Nest's own filter).
    if (typeof client.readyState === 'number' && client.send) {
      client.send(JSON.stringify({ event: 'exception', data: problem }));
    } else {
      client.emit?.('exception', problem);
    }
    return undefined;
  }
}
