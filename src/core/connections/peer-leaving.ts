import type { ExecutionContext } from '@nestjs/common';

/** The connection of a microservice over TCP, as Nest wraps it. */
interface TcpPeer {
  readonly isClosed?: unknown;
  once(event: 'close', listener: () => void): unknown;
}

/** One listener a connection, however many streams it carries. */
const leaving = new WeakMap<object, Set<() => void>>();

/**
 * Calls `left` when the connection of a microservice message has gone: Nest lets what it streams go on then, to nobody.
 * Of brokers nobody learns it; every other transport ends its streams itself.
 *
 * @returns what calls it off
 */
export function whenPeerLeaves(execution: ExecutionContext, left: () => void): () => void {
  const peer = execution.getType() === 'rpc' ? tcpPeerOf(execution.getArgByIndex(1)) : undefined;
  if (!peer) return () => undefined;
  let waiting = leaving.get(peer);
  if (!waiting) {
    const told = new Set<() => void>();
    leaving.set(peer, (waiting = told));
    peer.once('close', () => {
      for (const tell of told) tell();
    });
  }
  waiting.add(left);
  // It went while its message was being judged, or its handler made up its mind.
  if (peer.isClosed === true) queueMicrotask(left);
  return () => waiting.delete(left);
}

function tcpPeerOf(context: unknown): TcpPeer | undefined {
  const { getSocketRef } = (context ?? {}) as { readonly getSocketRef?: unknown };
  return typeof getSocketRef === 'function' ? (getSocketRef.call(context) as TcpPeer) : undefined;
}
