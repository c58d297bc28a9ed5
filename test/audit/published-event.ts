import type { PublishedSecurityEvent } from '../../src/core/security-events.js';
import { uuidV7 } from '../../src/core/uuid-v7.js';

export const AT_MS = Date.UTC(2026, 0, 31, 12, 0, 0, 250);

/** An event as a listener gets it: a refusal of a known account on a known handler, with what `changes` changes. */
export function publishedEvent(changes: Partial<PublishedSecurityEvent> = {}): PublishedSecurityEvent {
  return {
    id: uuidV7(AT_MS),
    occurredAtMs: AT_MS,
    action: 'access.refused',
    outcome: 'failure',
    delivery: 'detached',
    actor: '0190b1a0-0000-7000-8000-000000000001',
    reason: 'a permission is missing',
    requestId: '0190b1a0-0000-7000-8000-0000000000aa',
    sessionId: '0190b1a0-0000-7000-8000-0000000000bb',
    transport: 'http',
    handler: 'DocumentsController.list',
    sourceAddress: '203.0.113.9',
    ...changes,
  };
}
