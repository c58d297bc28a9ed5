import { Injectable } from '@nestjs/common';
import { GrantsStore } from '../access/grants/grants.store.js';
import { RequestContext } from '../core/request-context.js';
import { actingOf } from './acting.js';

/** The roles of whom a test acts as, for whoever asks by subject; every other grant is stored or is not there. */
@Injectable()
export class ActedGrantsStore extends GrantsStore {
  override async rolesOf(subject: string): Promise<readonly string[]> {
    const caller = RequestContext.current()?.principal;
    const acting = caller?.subject === subject ? actingOf(caller) : undefined;
    if (!acting) return super.rolesOf(subject);
    const { roles = [], scopes = {} } = acting;
    return [...new Set([...roles, ...Object.values(scopes).flatMap((held) => held.roles ?? [])])].sort();
  }
}
