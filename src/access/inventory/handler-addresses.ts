import { Injectable } from '@nestjs/common';
import type { JudgedCall } from '../../core/pipeline.js';
import type { RouteEntry } from './route-entry.js';
import { wayOf } from './route-name.js';
import { RouteInventory, type ServedEntry } from './route-inventory.js';

/** How the report names a handler. */
export interface HandlerAddress {
  /** Of several the first, e.g. `GET /cats/:id`. */
  readonly way: string;
  /** `Class.method`. */
  readonly handler: string;
}

/** As in the table. */
const MAX_WAY = 512;
const MAX_HANDLER = 256;

/** From a call to the way in that it came by: two classes of the same name are two. */
@Injectable()
export class HandlerAddresses {
  #known: ReadonlyMap<object, ReadonlyMap<string, ReadonlyMap<object, HandlerAddress>>> | undefined;

  constructor(private readonly inventory: RouteInventory) {}

  of({
    execution,
    controller,
    handler,
  }: Pick<JudgedCall, 'execution' | 'controller' | 'handler'>): HandlerAddress {
    this.#known ??= this.#read();
    const known = this.#known.get(controller)?.get(execution.getType<string>())?.get(handler);
    if (known) return known;
    // A method that was replaced on its instance: its name is all there is.
    const name = `${nameOf(controller)}.${nameOf(handler)}`;
    return addressOf(name, name);
  }

  /** Read once, when the application has its prefix and versions: at the first call. */
  #read(): ReadonlyMap<object, ReadonlyMap<string, ReadonlyMap<object, HandlerAddress>>> {
    const read = new Map<object, Map<string, Map<object, HandlerAddress>>>();
    for (const { type, transport, method, address } of handlersOf(this.inventory.served())) {
      const ofClass = read.get(type) ?? new Map<string, Map<object, HandlerAddress>>();
      const ofTransport = ofClass.get(transport) ?? new Map<object, HandlerAddress>();
      read.set(type, ofClass.set(transport, ofTransport.set(method, address)));
    }
    return read;
  }
}

/** A handler on one transport, with every address that it is served at. */
export interface ServedHandler {
  readonly type: object;
  readonly transport: string;
  readonly method: object;
  readonly address: HandlerAddress;
  readonly entries: readonly RouteEntry[];
}

export function handlersOf(served: readonly ServedEntry[]): readonly ServedHandler[] {
  const found = new Map<object, Map<string, RouteEntry[]>>();
  const prototypes = new Map<object, Readonly<Record<string, unknown>>>();
  for (const { host, entry } of served) {
    prototypes.set(host.type, host.prototype);
    const ofClass = found.get(host.type) ?? new Map<string, RouteEntry[]>();
    const key = `${entry.transport} ${entry.handlerName}`;
    found.set(host.type, ofClass.set(key, [...(ofClass.get(key) ?? []), entry]));
  }
  return [...found].flatMap(([type, ofClass]) =>
    [...ofClass.values()].map((entries) => {
      const { transport, handlerName, className } = entries[0] as RouteEntry;
      const [way = ''] = entries.map(wayOf).sort();
      return {
        ...{ type, transport, entries },
        method: prototypes.get(type)?.[handlerName] as object,
        address: addressOf(way, `${className}.${handlerName}`),
      };
    }),
  );
}

function addressOf(way: string, handler: string): HandlerAddress {
  return { way: storable(way, MAX_WAY), handler: storable(handler, MAX_HANDLER) };
}

/** A path or a name in code may be longer than anybody reads, and hold what no column takes. */
function storable(text: string, maxLength: number): string {
  return Buffer.from(text.slice(0, maxLength)).toString().replaceAll('\0', '\uFFFD') || '?';
}

function nameOf(named: object): string {
  return (named as { readonly name?: string }).name ?? '';
}
