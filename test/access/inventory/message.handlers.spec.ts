import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { describe, expect, test } from 'vitest';
import { gatewayHandlersOf, microserviceHandlersOf } from '../../../src/access/inventory/message.handlers.js';
import type { HandlerHost } from '../../../src/access/inventory/route-entry.js';
import { Authenticated, Public, RequirePermission } from '../../../src/core/route-policy.js';

type Class = (new () => object) & { readonly name: string };
const hostOf = (type: Class): HandlerHost => ({
  name: type.name,
  type,
  prototype: type.prototype as Readonly<Record<string, unknown>>,
  instance: undefined,
});

@Controller()
class JobsController {
  @MessagePattern('read')
  @RequirePermission('documents:read')
  read(): string {
    return '';
  }
  @EventPattern({ made: 'job' })
  @Public()
  made(): void {
    return;
  }
  @MessagePattern(['first', { second: 2 }])
  @Authenticated()
  both(): string {
    return '';
  }
  notAHandler(): string {
    return '';
  }
}

describe('the message handlers of a controller', () => {
  test('RBAC-01 are its marked methods, one for each pattern, each with its policy', () => {
    const of = { transport: 'rpc', className: 'JobsController' };
    expect(microserviceHandlersOf(hostOf(JobsController))).toStrictEqual([
      {
        ...of,
        method: 'MESSAGE',
        path: 'read',
        handlerName: 'read',
        policy: { kind: 'permission', permissions: ['documents:read'] },
      },
      { ...of, method: 'EVENT', path: '{"made":"job"}', handlerName: 'made', policy: { kind: 'public' } },
      {
        ...of,
        method: 'MESSAGE',
        path: 'first',
        handlerName: 'both',
        policy: { kind: 'authenticated' },
      },
      {
        ...of,
        method: 'MESSAGE',
        path: '{"second":2}',
        handlerName: 'both',
        policy: { kind: 'authenticated' },
      },
    ]);
  });

  test('RBAC-01 are there with one pattern that is no list too', () => {
    class Marked {
      @MessagePattern('a')
      @Public()
      read(): string {
        return '';
      }
    }
    Reflect.defineMetadata('microservices:pattern', 'alone', Marked.prototype.read);
    expect(microserviceHandlersOf(hostOf(Marked)).map(({ path }) => path)).toEqual(['alone']);
  });
});

class ChatGateway {
  @SubscribeMessage('say')
  @RequirePermission('documents:read')
  say(): string {
    return '';
  }
  @SubscribeMessage({ ask: 'who' })
  @Public()
  ask(): string {
    return '';
  }
  notAHandler(): string {
    return '';
  }
}

/** A gateway with the messages of `ChatGateway` that is reached as `mark` says. */
const gatewayAt = (mark: ClassDecorator): Class => {
  class Gateway extends ChatGateway {}
  mark(Gateway);
  return Gateway;
};

describe('the ways in to a gateway', () => {
  test('RBAC-10 are its messages, each with its policy, and whoever opens a socket: at least authenticated', () => {
    const of = { transport: 'ws', className: 'Gateway' };
    expect(gatewayHandlersOf(hostOf(gatewayAt(WebSocketGateway())))).toStrictEqual([
      {
        ...of,
        method: 'MESSAGE',
        path: 'say',
        handlerName: 'say',
        policy: { kind: 'permission', permissions: ['documents:read'] },
      },
      { ...of, method: 'MESSAGE', path: '{"ask":"who"}', handlerName: 'ask', policy: { kind: 'public' } },
      {
        ...of,
        method: 'CONNECT',
        path: '/',
        handlerName: 'handleConnection',
        policy: { kind: 'authenticated' },
      },
    ]);
  });

  test('RBAC-10 open a socket as its own method says, and to nobody where that says nothing', () => {
    @WebSocketGateway()
    class OpenGateway {
      @Public()
      handleConnection(): void {
        return;
      }
    }
    @WebSocketGateway()
    class SilentGateway {
      handleConnection(): void {
        return;
      }
    }
    expect(gatewayHandlersOf(hostOf(OpenGateway)).map(({ policy }) => policy)).toEqual([{ kind: 'public' }]);
    expect(gatewayHandlersOf(hostOf(SilentGateway)).map(({ policy }) => policy.kind)).toEqual(['undeclared']);
  });

  test('RBAC-10 open a socket to nobody where the method stands on the instance, whatever the class says', () => {
    @WebSocketGateway()
    class OpenGateway {
      @Public()
      handleConnection(): void {
        return;
      }
    }
    @WebSocketGateway()
    class BareGateway {}
    const policyWith = (type: Class, instance: object): unknown =>
      gatewayHandlersOf({ ...hostOf(type), instance: instance as HandlerHost['instance'] })[0]?.policy;
    for (const type of [OpenGateway, BareGateway]) {
      for (const handleConnection of [() => undefined, OpenGateway.prototype.handleConnection]) {
        expect(policyWith(type, Object.assign(new type(), { handleConnection }))).toEqual({
          kind: 'undeclared',
          fault: 'is replaced on its instance, where no socket is judged: make it a method of the class',
        });
      }
    }
    expect(policyWith(OpenGateway, new OpenGateway())).toEqual({ kind: 'public' });
    expect(policyWith(BareGateway, new BareGateway())).toEqual({ kind: 'authenticated' });
  });

  test('open a socket to nobody where Socket.IO recovers connections by itself', () => {
    const policyWith = (connectionStateRecovery: unknown): unknown => {
      @WebSocketGateway({ connectionStateRecovery } as object)
      class RecoveringGateway {}
      return gatewayHandlersOf(hostOf(RecoveringGateway))[0]?.policy;
    };
    expect(policyWith({})).toEqual({
      kind: 'undeclared',
      fault:
        'has connectionStateRecovery, by which Socket.IO says what was missed before anybody is judged: leave it out',
    });
    expect(policyWith(undefined)).toEqual({ kind: 'authenticated' });
  });

  test('RBAC-10 are none of a class that is no gateway', () => {
    expect(gatewayHandlersOf(hostOf(ChatGateway))).toEqual([]);
  });

  test.each<[string, ClassDecorator, string]>([
    ['a path', WebSocketGateway({ path: '/chat' }), '/chat'],
    ['a path without a slash', WebSocketGateway({ path: 'chat' }), '/chat'],
    ['a namespace', WebSocketGateway({ namespace: 'rooms' }), '/rooms'],
    ['a namespace before a path', WebSocketGateway({ namespace: '/rooms', path: '/chat' }), '/rooms'],
    ['a namespace that is a pattern', WebSocketGateway({ namespace: /^\/room-\d+$/ }), '/^\\/room-\\d+$/'],
    ['a port', WebSocketGateway(8080), ':8080/'],
    ['a port with a path', WebSocketGateway(8080, { path: '/chat' }), ':8080/chat'],
    ['port 0, which is that of the application', WebSocketGateway(0, { path: '/chat' }), '/chat'],
    [
      'something that is no place',
      WebSocketGateway({ namespace: 7 as unknown as string, path: '/chat' }),
      '/',
    ],
  ])('RBAC-10 are told apart by where they are reached: %s', (_name, mark, place) => {
    expect(gatewayHandlersOf(hostOf(gatewayAt(mark))).map(({ method, path }) => [method, path])).toEqual([
      ['MESSAGE', place === '/' ? 'say' : `${place} say`],
      ['MESSAGE', place === '/' ? '{"ask":"who"}' : `${place} {"ask":"who"}`],
      ['CONNECT', place],
    ]);
  });

  test('RBAC-10 are at the root where the class says neither port nor options', () => {
    class Bare {}
    Reflect.defineMetadata('websockets:is_gateway', true, Bare);
    expect(gatewayHandlersOf(hostOf(Bare)).map(({ path }) => path)).toEqual(['/']);
    Reflect.defineMetadata('port', '8080', Bare);
    expect(gatewayHandlersOf(hostOf(Bare)).map(({ path }) => path)).toEqual(['/']);
  });
});
