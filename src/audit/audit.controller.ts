import { Controller, Get, Header, Query } from '@nestjs/common';
import { RequirePermission } from '../core/route-policy.js';
import { SecurityEvents } from '../core/security-events.js';
import { AuditQueryDto } from './audit-query.dto.js';
import { decodeCursor, encodeCursor } from './audit.cursor.js';
import { AuditReader, type AuditEntry, type AuditFilter } from './audit.reader.js';
import { LOG_ID } from './pending.store.js';

const DEFAULT_LIMIT = 50;

/** `{ entries, next }`: `next` is the `after` of the next page, null when nothing follows now. */
export interface AuditPage {
  readonly entries: readonly AuditEntry[];
  readonly next: string | null;
}

/** `GET /admin/audit`: the log, in order, by cursor. */
@Controller('admin/audit')
export class AuditController {
  constructor(
    private readonly reader: AuditReader,
    private readonly events: SecurityEvents,
  ) {}

  @Get()
  @RequirePermission('audit:read')
  @Header('Cache-Control', 'no-store')
  async list(@Query() query: AuditQueryDto): Promise<AuditPage> {
    const limit = query.limit === undefined ? DEFAULT_LIMIT : Number(query.limit);
    // Before, not after: who reads without leaving a trace has read all the same (ASVS 16.2.1).
    await this.events.publish({
      action: 'audit.read',
      outcome: 'success',
      delivery: 'detached',
      target: { type: 'audit-log', id: String(LOG_ID) },
      detail: { limit, filters: namesOf(query) },
    });
    const { entries, next } = await this.reader.read(filterOf(query), limit);
    return { entries, next: next ? encodeCursor(next) : null };
  }
}

/** Which filters were given, not their values: an event holds nothing that a caller wrote. */
function namesOf(query: AuditQueryDto): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  return given
    .map(([name]) => name)
    .sort()
    .join(' ');
}

function filterOf({ after, actor, action, resource, from, to }: AuditQueryDto): AuditFilter {
  const colon = resource?.indexOf(':') ?? -1;
  return {
    after: after === undefined ? undefined : decodeCursor(after),
    actor,
    action,
    resourceType: colon < 0 ? resource : resource?.slice(0, colon),
    resourceId: colon < 0 ? undefined : resource?.slice(colon + 1),
    from: from === undefined ? undefined : new Date(from),
    to: to === undefined ? undefined : new Date(to),
  };
}
