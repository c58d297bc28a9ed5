import type { ExecutionContext } from '@nestjs/common';
import { isIP } from 'node:net';
import { normalizeIp } from '@nestjs/throttler';
import type { RequestContext } from '../core/request-context.js';

const MAX_REMEMBERED = 10_000;

/** Turns an address into the key of its source: IPv4 as it is (also when mapped into IPv6), IPv6 by its prefix. */
export class SourceKeys {
  readonly #prefixBits: number;
  readonly #remembered = new Map<string, string>();

  constructor(prefixBits: number) {
    this.#prefixBits = prefixBits;
  }

  of(address: string): string {
    const known = this.#remembered.get(address);
    if (known !== undefined) return known;
    const key = normalizeIp(address, this.#prefixBits);
    // A cache only: to forget it costs a microsecond an address.
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(address, key);
    return key;
  }
}

/**
 * The address that a call came from, or undefined where the transport names none (message brokers, Unix sockets).
 * For HTTP it is what the edge wrote into the context, or what the adapter says; never a header read here.
 */
export function addressOf(execution: ExecutionContext, context: RequestContext): string | undefined {
  if (context.sourceAddress !== undefined) return context.sourceAddress;
  switch (execution.getType<string>()) {
    case 'http':
      return addressOfRequest(execution.getArgByIndex(0));
    case 'graphql':
      return addressOfRequest(at(execution.getArgByIndex(2), 'req'));
    case 'ws':
      return addressOfSocket(execution.getArgByIndex(0));
    case 'rpc':
      return addressOfPeer(execution);
    default:
      return undefined;
  }
}

/**
 * Express and Fastify both answer `ip` from the trusted proxies that the adapter was told, and from nothing else. What
 * such a proxy forwards may be no address (`unknown`, an address with its port): then it is the peer, or every
 * connection would be a source of its own.
 */
export function addressOfRequest(request: unknown): string | undefined {
  const forwarded = text(at(request, 'ip'));
  if (forwarded !== undefined && isIP(forwarded.replace(/%.*$/, '')) !== 0) return forwarded;
  return text(at(at(request, 'socket'), 'remoteAddress'));
}

/** Of a websocket (`ws`: its TCP socket; Socket.IO: its handshake) the peer's address. */
function addressOfSocket(client: unknown): string | undefined {
  return (
    text(at(at(client, '_socket'), 'remoteAddress')) ??
    text(at(at(client, 'handshake'), 'address')) ??
    text(at(at(client, 'conn'), 'remoteAddress'))
  );
}

/** Nest's TCP transport keeps the socket in its context; gRPC names its peer as `ipv4:192.0.2.1:4711`. */
function addressOfPeer(execution: ExecutionContext): string | undefined {
  const jsonSocket = call(execution.getArgByIndex(1), 'getSocketRef');
  const address = text(at(at(jsonSocket, 'socket'), 'remoteAddress'));
  if (address !== undefined) return address;
  const peer = text(call(execution.getArgByIndex(2), 'getPeer'));
  return peer
    ?.replace(/^ipv[46]:/, '')
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1');
}

function at(holder: unknown, property: string): unknown {
  return typeof holder === 'object' && holder !== null
    ? (holder as Record<string, unknown>)[property]
    : undefined;
}

function call(holder: unknown, method: string): unknown {
  const member = at(holder, method);
  return typeof member === 'function' ? (member as () => unknown).call(holder) : undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
