import { anyOf, is, objectRule, oneOf, some, allOf, SUBJECT, type Condition } from 'nestjs-zero-trust';
import type { Document } from './document.entity.js';

const owned = is<Document>('ownerId', SUBJECT);

const sharedFor = (...access: ('read' | 'write')[]): Condition<Document> =>
  some('shares', allOf(is('accountId', SUBJECT), oneOf('access', access)));

/** Read by its owner and by those it is shared with, in whatever way. */
export const readableDocument = objectRule<Document>({
  type: 'document',
  name: 'owned or shared',
  when: anyOf(owned, sharedFor('read', 'write')),
  overriddenBy: 'documents:read-any',
});

/** Changed by its owner and by those it is shared with for writing. */
export const writableDocument = objectRule<Document>({
  type: 'document',
  name: 'owned or shared for writing',
  when: anyOf(owned, sharedFor('write')),
});

/** Deleted and shared by its owner alone. */
export const ownedDocument = objectRule<Document>({ type: 'document', name: 'owned', when: owned });
