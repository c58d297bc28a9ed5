import type { WouldBeRefusal } from '../../core/report-only.js';

/** Why calls would have been refused: a closed list, so that nothing that a caller sends can ever become a row. */
export const REPORT_REASONS = [
  'the handler has no policy',
  'no credentials were presented',
  'the credentials do not hold',
  'called too often',
  'the zone may not call it',
  'a demanded permission is not held',
  'a demanded permission is held, but not here',
  'the subject can hold no grants: its id is no UUID',
  'the request has no tenant',
  'not authenticated as surely or as lately as demanded',
  'there is no such object, or it is beyond the caller',
  'the object is beyond the caller',
  'the id of the object is malformed',
  'it could not be checked',
  'it is not allowed',
] as const;

export type ReportReason = (typeof REPORT_REASONS)[number];

const LACKED = 'a demanded permission is not held';

const BY_CODE: Readonly<Record<string, ReportReason>> = {
  'authentication-required': 'no credentials were presented',
  'insufficient-authentication': 'not authenticated as surely or as lately as demanded',
  'too-many-requests': 'called too often',
  'temporarily-unavailable': 'it could not be checked',
  'internal-error': 'it could not be checked',
  'not-found': 'there is no such object, or it is beyond the caller',
  'validation-failed': 'the id of the object is malformed',
};

/** The phrase for what a stage would have refused; its own words are not repeated, whoever wrote them. */
export function reasonOf({ stage, refusal }: WouldBeRefusal): ReportReason {
  const { error, reason } = refusal;
  const known = BY_CODE[error.code];
  if (known !== undefined) return known;
  if (stage === 'authenticate') return 'the credentials do not hold';
  if (stage === 'segment') return 'the zone may not call it';
  // Of the closed list of `decide()`.
  if (reason === LACKED || reason === 'the request has no tenant') return reason;
  return /\bobject\b/.test(reason) ? 'the object is beyond the caller' : 'it is not allowed';
}
