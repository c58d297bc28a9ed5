import { NotFoundException } from '@nestjs/common';
import { objectRule } from '../../../src/access/objects/object-rule.js';
import { ResourceResolver } from '../../../src/access/objects/resource.resolver.js';
import { ZeroTrustError } from '../../../src/core/zero-trust-error.js';
import { newSubject } from '../access.fixtures.js';

export interface Note {
  readonly id: string;
  readonly owner: string;
}

/** The store of the application, and what became of each question to it. */
export const notes = new Map<string, Note>();
export const loads: string[] = [];

export function noteOf(owner: string): string {
  const id = newSubject();
  notes.set(id, { id, owner });
  return id;
}

/** Ids for which loading goes wrong, each in its way. */
export const TROUBLE = {
  throws: newSubject(),
  throwsText: newSubject(),
  rejects: newSubject(),
  throwsOfHttp: newSubject(),
  never: newSubject(),
  refuses: newSubject(),
  isNull: newSubject(),
  isUndefined: newSubject(),
};

export const owned = objectRule<Note>({
  type: 'note',
  name: 'owned',
  holds: (note, { subject }) => note.owner === subject,
  overriddenBy: 'documents:read-any',
});
export const every = objectRule<Note>({ type: 'note', name: 'every', holds: () => true });

export class ReadableNote extends ResourceResolver<Note> {
  readonly rule = owned;
  override readonly timeoutMs: number = 50;

  load(id: string): Promise<Note | null | undefined> {
    loads.push(id);
    switch (id) {
      case TROUBLE.throws:
        throw new Error('the table is gone');
      case TROUBLE.throwsText:
        // eslint-disable-next-line @typescript-eslint/only-throw-error -- what JavaScript lets one do
        throw 'nothing';
      case TROUBLE.rejects:
        return Promise.reject(new Error('the connection is gone'));
      case TROUBLE.throwsOfHttp:
        return Promise.reject(new NotFoundException('SELECT * FROM note'));
      case TROUBLE.never:
        return new Promise(() => undefined);
      case TROUBLE.refuses:
        return Promise.reject(new ZeroTrustError('conflict', { detail: 'the note is being moved' }));
      case TROUBLE.isNull:
        return Promise.resolve(null);
      default:
        return Promise.resolve(notes.get(id.toLowerCase()));
    }
  }
}

/** Whoever may read notes at all is told that it is there. */
export class WritableNote extends ReadableNote {
  override readonly visible = { permission: 'documents:read', rule: every } as const;
}
