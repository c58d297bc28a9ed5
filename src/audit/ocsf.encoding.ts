import type { PublishedSecurityEvent } from '../core/security-events.js';
import { bounded, classify } from './detail.classification.js';
import { API_ACTIVITY, CLASS_OF_FAMILY, SEVERITY_OF_ACTION, type OcsfClass } from './ocsf.classes.js';

/** Several occurrences of one event that were not written one by one. */
export interface Repetition {
  readonly count: number;
  readonly startMs: number;
  readonly endMs: number;
}

const PRODUCT = { name: 'nestjs-zero-trust', vendor_name: 'nestjs-zero-trust' };
/** severity_id and status_id happen to be numbered alike: Informational and Success, Low and Failure. */
const OUTCOME = { success: 1, failure: 2 } as const;
const OTHER = 99;
const ID_LENGTH = 128;
const PHRASE_LENGTH = 256;

/**
 * The final bytes of an entry: compact OCSF 1.8 JSON. They are stored, read and hashed as they are and never
 * serialised again. They hold ids, never an address, an e-mail or a user agent; what nobody classified is
 * redacted; every text is bounded; and every character beyond printable ASCII is escaped, so that an entry stays
 * one harmless line in whatever shows it (ASVS 16.4.1).
 */
export function encodeEntry(
  event: PublishedSecurityEvent,
  isPublicDetail: (name: string) => boolean,
  repetition?: Repetition,
): Buffer {
  const { family, verb } = partsOf(event.action);
  const ocsf = CLASS_OF_FAMILY.get(family) ?? API_ACTIVITY;
  const activityId = ocsf.activities[verb] ?? OTHER;
  const target = targetOf(event);
  const entry = {
    class_uid: ocsf.classUid,
    category_uid: ocsf.categoryUid,
    activity_id: activityId,
    activity_name: activityId === OTHER ? bounded(event.action, ID_LENGTH) : undefined,
    type_uid: ocsf.classUid * 100 + activityId,
    severity_id: SEVERITY_OF_ACTION.get(event.action) ?? OUTCOME[event.outcome],
    status_id: OUTCOME[event.outcome],
    status_detail: phrase(event.reason),
    time: event.occurredAtMs,
    count: repetition?.count,
    start_time: repetition?.startMs,
    end_time: repetition?.endMs,
    metadata: {
      version: '1.8.0',
      product: PRODUCT,
      uid: event.id,
      event_code: bounded(event.action, ID_LENGTH),
      correlation_uid: id(event.requestId),
    },
    actor: actorOf(event),
    ...factsOfClass(ocsf, event, target),
    unmapped: {
      target,
      handler: id(event.handler),
      transport: id(event.transport),
      detail: classify(event.detail, isPublicDetail),
    },
  };
  return Buffer.from(escapeBeyondAscii(JSON.stringify(entry)), 'ascii');
}

/** What each class demands of its own. Addresses are personal data: an end point says that it was left out. */
function factsOfClass(
  { classUid }: OcsfClass,
  event: PublishedSecurityEvent,
  target: Target | undefined,
): object {
  const app = { name: PRODUCT.name };
  switch (classUid) {
    case 3002: {
      const session = target?.type === 'session' ? target.id : id(event.sessionId);
      return {
        user: userOf(target?.type === 'account' ? target.id : event.actor),
        session: session === undefined ? undefined : { uid: session },
        service: app,
      };
    }
    case 3001:
      return { user: userOf(target?.id) };
    case 3004:
      return { entity: target ? { type: target.type, uid: target.id } : app };
    case 6002:
      return { app };
    default:
      return {
        api: { operation: id(event.handler) ?? bounded(event.action, ID_LENGTH) },
        resources: target ? [{ type: target.type, uid: target.id }] : undefined,
        src_endpoint: { name: 'not recorded' },
      };
  }
}

interface Target {
  readonly type: string;
  readonly id: string;
}

function targetOf({ target }: PublishedSecurityEvent): Target | undefined {
  return target && { type: bounded(target.type, ID_LENGTH), id: bounded(target.id, ID_LENGTH) };
}

function actorOf(event: PublishedSecurityEvent): object {
  // Nobody who asked, nobody who is known: a timer, a command, the application itself.
  if (event.actor === undefined && event.requestId === undefined) return { app_name: PRODUCT.name };
  const session = id(event.sessionId);
  return { user: userOf(event.actor), session: session === undefined ? undefined : { uid: session } };
}

function userOf(subject: string | undefined): object {
  return subject === undefined ? { name: 'anonymous', type_id: 0 } : { uid: bounded(subject, ID_LENGTH) };
}

function id(text: string | undefined): string | undefined {
  return text === undefined ? undefined : bounded(text, ID_LENGTH);
}

function phrase(text: string | undefined): string | undefined {
  return text === undefined ? undefined : bounded(text, PHRASE_LENGTH);
}

function partsOf(action: string): { family: string; verb: string } {
  const dot = action.indexOf('.');
  return { family: action.slice(0, Math.max(dot, 0)), verb: action.slice(dot + 1) };
}

/** JSON escapes only U+0000 to U+001F; line separators, C1 controls and bidirectional overrides are as harmful. */
function escapeBeyondAscii(json: string): string {
  return json.replace(/[\u007F-\uFFFF]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
