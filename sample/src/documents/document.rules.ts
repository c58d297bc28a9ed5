import { objectRule, type Principal } from 'nestjs-zero-trust';
import type { Document } from './document.entity.js';

const owns = (document: Document, principal: Principal): boolean => document.ownerId === principal.subject;

const isShared = (document: Document, principal: Principal, ...access: ('read' | 'write')[]): boolean =>
  document.shares.some((share) => share.accountId === principal.subject && access.includes(share.access));

/** Read by its owner and by those it is shared with, in whatever way. */
export const readableDocument = objectRule<Document>({
  type: 'document',
  name: 'owned or shared',
  holds: (document, principal) => owns(document, principal) || isShared(document, principal, 'read', 'write'),
  overriddenBy: 'documents:read-any',
});

/** Changed by its owner and by those it is shared with for writing. */
export const writableDocument = objectRule<Document>({
  type: 'document',
  name: 'owned or shared for writing',
  holds: (document, principal) => owns(document, principal) || isShared(document, principal, 'write'),
});

/** Deleted and shared by its owner alone. */
export const ownedDocument = objectRule<Document>({ type: 'document', name: 'owned', holds: owns });
