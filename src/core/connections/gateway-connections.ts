import { Injectable, Logger } from '@nestjs/common';
import { LazyModuleLoader, ModulesContainer } from '@nestjs/core';
import { closeSocket } from './connection-closing.js';
import { ConnectionGate } from './connection-gate.js';
import { bindToModules } from '../lazy-modules.js';
import { GATEWAY_METADATA } from '../message-handlers.js';
import { Authenticated } from '../route-policy.js';
import { wrapped } from '../wrapped-method.js';
import { ZeroTrustError } from '../zero-trust-error.js';

type Hook = (this: object, client: object, ...rest: unknown[]) => unknown;
type Hooks = Partial<Record<'handleConnection' | 'handleDisconnect', Hook>>;

/** What judges is put on classes, which two applications in one process share: each finds its own gate. */
const gates = new Set<WeakRef<ConnectionGate>>();
const gateOfGateway = new WeakMap<object, ConnectionGate>();
const judging = new WeakSet<Hook>();
const logger = new Logger('Connections');

/**
 * Puts the judgement before `handleConnection` of every gateway; one that has none gets one that lets in whoever is
 * authenticated. In the constructor and on the class: Nest binds the method when it starts the gateways, before any hook.
 */
@Injectable()
export class GatewayConnections {
  constructor(modules: ModulesContainer, loader: LazyModuleLoader, gate: ConnectionGate) {
    gates.add(new WeakRef(gate));
    bindToModules(modules, loader, (module) => {
      for (const { metatype } of module.providers.values()) {
        if (typeof metatype !== 'function' || !Reflect.hasMetadata(GATEWAY_METADATA, metatype)) continue;
        const prototype = (metatype as { readonly prototype?: unknown }).prototype;
        if (typeof prototype === 'object' && prototype !== null) bind(prototype);
      }
    });
  }
}

function bind(prototype: Hooks): void {
  const connection = ownerOf(prototype, 'handleConnection');
  replace(connection ?? prototype, 'handleConnection', judgeFirst(connection?.handleConnection));
  const disconnect = ownerOf(prototype, 'handleDisconnect');
  if (disconnect) replace(disconnect, 'handleDisconnect', onlyOfWhoCame(disconnect.handleDisconnect as Hook));
}

/** The class in the chain that has the method itself: there it is replaced, so that what is inherited stays inherited. */
function ownerOf(prototype: Hooks, name: keyof Hooks): Hooks | undefined {
  let owner: object | null = prototype;
  while (owner && !Object.hasOwn(owner, name)) owner = Object.getPrototypeOf(owner) as object | null;
  return owner && typeof (owner as Hooks)[name] === 'function' ? owner : undefined;
}

function replace(owner: Hooks, name: keyof Hooks, hook: Hook): void {
  const present = owner[name];
  if (present && judging.has(present)) return;
  judging.add(hook);
  Object.defineProperty(owner, name, { value: hook, configurable: true, writable: true });
}

function judgeFirst(method: Hook | undefined): Hook {
  const hook: Hook = function (client, ...rest) {
    const gate = gateOf(this);
    if (!gate) {
      logger.error(
        `a socket came to ${this.constructor.name}, and no application with the kit has made it: refused. ` +
          'Import PipelineModule, or give each application a gateway class of its own.',
      );
      closeSocket(client, new ZeroTrustError('permission-denied', { detail: 'nobody judges connections' }));
      return undefined;
    }
    return gate.admit({ gateway: this, handler: hook, client, rest }, () =>
      method?.call(this, client, ...rest),
    );
  };
  if (method) return wrapped(method, hook);
  Object.defineProperty(hook, 'name', { value: 'handleConnection', configurable: true });
  // By omission the strict choice: who is nobody opens no socket.
  Authenticated()(hook, 'handleConnection', { value: hook });
  return hook;
}

/** Of a socket that was refused a gateway has never heard; it must not hear of its end. */
function onlyOfWhoCame(method: Hook): Hook {
  const hook: Hook = function (this: Hooks, client, ...rest) {
    // The method of a base class, called by the one that overrides it, which is told when it fails.
    const called = this.handleDisconnect;
    if (called && called !== hook && judging.has(called)) return method.call(this, client, ...rest);
    return gateOf(this)?.leave(this, client, () => method.call(this, client, ...rest));
  };
  return wrapped(method, hook);
}

function gateOf(gateway: object): ConnectionGate | undefined {
  const known = gateOfGateway.get(gateway);
  if (known) return known;
  const byClass: ConnectionGate[] = [];
  for (const reference of gates) {
    const gate = reference.deref();
    if (!gate) gates.delete(reference);
    const owned = gate?.owns(gateway);
    if (gate && owned === 'itself') {
      gateOfGateway.set(gateway, gate);
      return gate;
    }
    if (gate && owned) byClass.push(gate);
  }
  // One that is made for each connection tells nothing of its application but its class.
  return byClass.length === 1 ? byClass[0] : undefined;
}
