import type { ExecutionContext } from '@nestjs/common';
import { describe, expect, test } from 'vitest';
import { RequestContext } from '../../src/core/request-context.js';
import { addressOf, SourceKeys } from '../../src/throttler/source.key.js';

describe('the key of a source', () => {
  const keys = new SourceKeys(64);

  test('THR-04 fifty addresses of one IPv6 /64 are one source, the next /64 is another', () => {
    const own = Array.from({ length: 50 }, (_, at) => keys.of(`2001:db8:1:2:${(at * 977).toString(16)}::7`));
    expect(new Set(own)).toEqual(new Set(['2001:db8:1:2::/64']));
    expect(keys.of('2001:db8:1:3::7')).toBe('2001:db8:1:3::/64');
  });

  test('THR-04 an IPv4 address mapped into IPv6 is the same source as the plain one', () => {
    expect(keys.of('::ffff:192.0.2.1')).toBe('192.0.2.1');
    expect(keys.of('::ffff:c000:201')).toBe('192.0.2.1');
    expect(keys.of('192.0.2.2')).toBe('192.0.2.2');
  });

  test('a zone index does not make a link-local address another source', () => {
    expect(keys.of('fe80::1%eth0')).toBe(keys.of('fe80::1%eth1'));
  });
});

describe('the address of a call', () => {
  const call = (type: string, ...args: unknown[]): ExecutionContext =>
    ({ getType: () => type, getArgByIndex: (at: number) => args[at] }) as unknown as ExecutionContext;
  const context = new RequestContext({ transport: 'http', receivedAtMs: 0 });

  test('is what the edge wrote, before anything that is read here', () => {
    const known = new RequestContext({ transport: 'http', receivedAtMs: 0, sourceAddress: '192.0.2.9' });
    expect(addressOf(call('http', { ip: '192.0.2.1' }), known)).toBe('192.0.2.9');
  });

  test.each([
    ['an Express or Fastify request', call('http', { ip: '192.0.2.1' })],
    ['a plain request', call('http', { socket: { remoteAddress: '192.0.2.1' } })],
    ['a GraphQL request', call('graphql', {}, {}, { req: { ip: '192.0.2.1' } })],
    ['a ws socket', call('ws', { _socket: { remoteAddress: '192.0.2.1' } })],
    ['a Socket.IO socket', call('ws', { handshake: { address: '192.0.2.1' } })],
    ['a TCP message', call('rpc', {}, { getSocketRef: () => ({ socket: { remoteAddress: '192.0.2.1' } }) })],
    ['a gRPC call', call('rpc', {}, {}, { getPeer: () => 'ipv4:192.0.2.1:50051' })],
  ])('is the peer of %s', (_name, execution) => {
    expect(addressOf(execution, context)).toBe('192.0.2.1');
  });

  test.each([
    [
      'a gRPC call over IPv6',
      call('rpc', {}, {}, { getPeer: () => 'ipv6:[2001:db8::1]:50051' }),
      '2001:db8::1',
    ],
    ['a message of a broker', call('rpc', {}, { getSubject: () => 'x' }), undefined],
    ['a socket that names none', call('ws', {}), undefined],
    ['a transport that nobody knows', call('pigeon', { ip: '192.0.2.1' }), undefined],
    ['a header', call('http', { headers: { 'x-forwarded-for': '192.0.2.1' } }), undefined],
  ])('of %s', (_name, execution, expected) => {
    expect(addressOf(execution, context)).toBe(expected);
  });
});
