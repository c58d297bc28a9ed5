/**
 * Which class and activity of OCSF 1.8 (schema.ocsf.io) an action belongs to. A family that is not named here is
 * API Activity: every event finds a place.
 */
export interface OcsfClass {
  readonly classUid: number;
  readonly categoryUid: number;
  /** The verb of `family.verb` → activity_id. A verb that is not named is 99, "Other", with its name beside it. */
  readonly activities: Readonly<Record<string, number>>;
}

const IAM = 3;
const APPLICATION = 6;

const AUTHENTICATION: OcsfClass = {
  classUid: 3002,
  categoryUid: IAM,
  activities: { opened: 1, refused: 1, succeeded: 1, failed: 1, ended: 2 },
};
const ACCOUNT_CHANGE: OcsfClass = {
  classUid: 3001,
  categoryUid: IAM,
  activities: {
    ...{ created: 1, enabled: 2, 'password-changed': 3, disabled: 5, deleted: 6, locked: 9 },
    // Of a second factor.
    ...{ enrolled: 10, removed: 11 },
  },
};
const ENTITY_MANAGEMENT: OcsfClass = {
  classUid: 3004,
  categoryUid: IAM,
  activities: { created: 1, read: 2, updated: 3, changed: 3, synced: 3, deleted: 4, revoked: 4 },
};
export const API_ACTIVITY: OcsfClass = {
  classUid: 6003,
  categoryUid: APPLICATION,
  activities: { created: 1, read: 2, updated: 3, deleted: 4 },
};
const APPLICATION_LIFECYCLE: OcsfClass = {
  classUid: 6002,
  categoryUid: APPLICATION,
  activities: { started: 3, stopped: 4 },
};

export const CLASS_OF_FAMILY: ReadonlyMap<string, OcsfClass> = new Map([
  ['authentication', AUTHENTICATION],
  ['session', AUTHENTICATION],
  ['account', ACCOUNT_CHANGE],
  ['factor', ACCOUNT_CHANGE],
  ['recovery-code', ACCOUNT_CHANGE],
  ['recovery-codes', ACCOUNT_CHANGE],
  ['grant', ENTITY_MANAGEMENT],
  ['role', ENTITY_MANAGEMENT],
  ['key', ENTITY_MANAGEMENT],
  ['application', APPLICATION_LIFECYCLE],
]);

/** severity_id of OCSF: what succeeded is Informational, what was refused is Low; these call for somebody. */
export const SEVERITY_OF_ACTION: ReadonlyMap<string, number> = new Map([
  ['throttle.degraded', 3],
  ['account.tampered', 4],
  ['audit.gap', 4],
  ['encryption.integrity-failed', 4],
  ['session.reuse-detected', 4],
]);
