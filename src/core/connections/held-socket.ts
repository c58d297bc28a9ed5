/** What the clients of both websocket libraries have of these; rooms are Socket.IO's alone. */
interface SocketLike {
  readonly id?: string;
  readonly rooms?: Iterable<string>;
  /** What `volatile`, `timeout()` and `compress()` ask of the event that is said next. */
  flags?: object;
  readonly adapter?: { delAll(id: string): unknown };
  send?(...given: unknown[]): unknown;
  emit?(...given: unknown[]): unknown;
  join?(rooms: string[]): unknown;
  disconnect?(): unknown;
}

/** What a socket will hear and belong to once it was let in. */
interface Held {
  readonly rooms: Set<string>;
  readonly said: (() => unknown)[];
  /** By name what stands on the socket meanwhile, and what stood there before. */
  readonly replaced: Map<string, { by: unknown; before: PropertyDescriptor | undefined }>;
}

const held = new WeakMap<object, Held>();

/**
 * Keeps everything from a socket that is being judged. Both libraries count it among their clients by then: whatever is
 * said to all of them would reach it, and who connects again and again would hear most of it. What is said to it alone
 * waits; to a room, and so to everybody, it does not belong until it is let in.
 */
export function holdBack(client: object): void {
  if (held.has(client)) return;
  const socket = client as SocketLike;
  const rooms = new Set(socket.rooms ?? []);
  const said: Held['said'] = [];
  const replaced: Held['replaced'] = new Map();
  const replace = (name: string, by: object): void => {
    replaced.set(name, { by, before: Object.getOwnPropertyDescriptor(client, name) });
    Object.defineProperty(client, name, { value: by, configurable: true, writable: true });
  };
  // A bare WebSocket hears its own events by `emit`.
  if (typeof socket.disconnect !== 'function') {
    replace('send', (...given: unknown[]) => void said.push(() => socket.send?.(...given)));
  } else {
    replace('emit', (...given: unknown[]) => {
      const { flags } = socket;
      socket.flags = {};
      said.push(() => {
        socket.flags = flags ?? {};
        socket.emit?.(...given);
      });
      return true;
    });
    // The adapter knows of none meanwhile, and it is where the socket looks.
    replace('rooms', rooms);
    replace('join', (given: string | string[]) => {
      for (const room of [given].flat()) rooms.add(room);
    });
    replace('leave', (room: string) => void rooms.delete(room));
    replace('leaveAll', () => {
      rooms.clear();
    });
    if (socket.id !== undefined) socket.adapter?.delAll(socket.id);
  }
  held.set(client, { rooms, said, replaced });
}

/** It was let in: it hears what waited, and belongs where it was put meanwhile. */
export function letGo(client: object): void {
  const waiting = restored(client);
  if (!waiting) return;
  if (waiting.rooms.size > 0) (client as SocketLike).join?.([...waiting.rooms]);
  for (const say of waiting.said) say();
}

/** It was not: nothing of what waited is for it. */
export function dropHeld(client: object): void {
  restored(client);
}

function restored(client: object): Held | undefined {
  const waiting = held.get(client);
  if (!waiting) return undefined;
  held.delete(client);
  for (const [name, { by, before }] of waiting.replaced) {
    // Socket.IO itself takes the rooms from a socket that has gone.
    if ((client as Record<string, unknown>)[name] !== by) continue;
    if (before) Object.defineProperty(client, name, before);
    else Reflect.deleteProperty(client, name);
  }
  return waiting;
}
