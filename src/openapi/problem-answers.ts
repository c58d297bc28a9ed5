import { ERROR_STATUS } from '../core/zero-trust-error.js';
import type { Demand } from './demand.js';
import type { Schema } from './json-schema.js';

/** What is known of an operation when its refusals are listed. */
export interface Refusable {
  readonly demands: readonly Demand[];
  readonly method: string;
  readonly hasPathParameter: boolean;
  readonly hasBody: boolean;
  readonly throttled: boolean;
}

const text = { type: 'string' } as const;
const uri = { type: 'string', format: 'uri' } as const;

/** RFC 9457, as problem-document.ts of the edge makes it. Fields may be added, hence no word of others. */
export const PROBLEM_SCHEMA: Schema = {
  type: 'object',
  description: 'Every error (RFC 9457).',
  required: ['type', 'title', 'status', 'code', 'instance'],
  properties: {
    type: { ...uri, description: '`urn:zero-trust:error:` and the code.' },
    title: { ...text, description: 'The reason phrase of the status.' },
    status: { type: 'integer', minimum: 400, maximum: 599 },
    code: { ...text, enum: Object.keys(ERROR_STATUS), description: 'Stable: decide by it.' },
    instance: { ...uri, description: '`urn:uuid:` and the request id, for whoever asks the operator.' },
    errors: {
      type: 'array',
      description: 'For `validation-failed`: what is wrong, field by field.',
      items: {
        type: 'object',
        required: ['field', 'messages'],
        properties: { field: text, messages: { type: 'array', items: text } },
      },
    },
  },
};

const header = (description: string): Schema => ({ description, required: true, schema: text });

/** Every header that a refusal has of its own. */
export const PROBLEM_HEADERS: Readonly<Record<string, Schema>> = {
  'WWW-Authenticate': header('The challenge (RFC 6750; RFC 9470 where more assurance is demanded).'),
  'Retry-After': header('Seconds until it is worth trying again (RFC 9110).'),
  RateLimit: header('What is left of the limit.'),
  'RateLimit-Policy': header('The limit.'),
};

interface Refusal {
  readonly name: string;
  readonly status: number | 'default';
  readonly description: string;
  readonly headers?: readonly (keyof typeof PROBLEM_HEADERS)[];
  readonly when: (operation: Refusable) => boolean;
}

const CHANGES: ReadonlySet<string> = new Set(['post', 'put', 'patch', 'delete']);
const demands = (...kinds: readonly Demand['access'][]) => {
  return (operation: Refusable): boolean => operation.demands.some(({ access }) => kinds.includes(access));
};

const REFUSALS: readonly Refusal[] = [
  { name: 'Malformed', status: 400, description: 'Malformed, invalid or ambiguous.', when: () => true },
  {
    name: 'Unauthenticated',
    status: 401,
    description: 'Not authenticated, or not as surely or as lately as is demanded.',
    headers: ['WWW-Authenticate'],
    when: demands('authenticated', 'permission'),
  },
  {
    name: 'Refused',
    status: 403,
    description: 'Not permitted, or sent by a page of another site.',
    when: (operation) => demands('permission')(operation) || CHANGES.has(operation.method),
  },
  {
    name: 'NotFound',
    status: 404,
    description: 'There is no such thing, or the caller may not know of it.',
    when: ({ hasPathParameter }) => hasPathParameter,
  },
  {
    name: 'TooLarge',
    status: 413,
    description: 'The body is too large.',
    when: ({ hasBody }) => hasBody,
  },
  {
    name: 'UnsupportedMediaType',
    status: 415,
    description: 'The body is not JSON in UTF-8.',
    when: ({ hasBody }) => hasBody,
  },
  {
    name: 'TooManyRequests',
    status: 429,
    description: 'Too often.',
    headers: ['Retry-After', 'RateLimit', 'RateLimit-Policy'],
    when: ({ throttled }) => throttled,
  },
  {
    name: 'Unavailable',
    status: 503,
    description: 'A check cannot be made at the moment.',
    headers: ['Retry-After'],
    when: () => true,
  },
  { name: 'Failed', status: 'default', description: 'Any other error.', when: () => true },
];

/** The refusals by name, each written once and referred to by every operation that it can meet. */
export function problemResponses(): Record<string, Schema> {
  return Object.fromEntries(
    REFUSALS.map(({ name, description, headers = [] }) => [
      name,
      {
        description,
        ...(headers.length > 0 && {
          headers: Object.fromEntries(
            headers.map((each) => [each, { $ref: `#/components/headers/${each}` }]),
          ),
        }),
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    ]),
  );
}

/** With which refusals an operation can answer, by status; `default` for what its handler refuses by itself. */
export function refusalsOf(operation: Refusable): Record<string, Schema> {
  return Object.fromEntries(
    REFUSALS.filter(({ when }) => when(operation)).map(({ name, status }) => [
      String(status),
      { $ref: `#/components/responses/${name}` },
    ]),
  );
}
