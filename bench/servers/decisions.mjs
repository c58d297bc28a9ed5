// The access room of the kit on a real database, asked without HTTP.
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  AccessModule,
  AuditModule,
  Authenticator,
  DatabaseModule,
  decide,
  EncryptionModule,
  FreshnessFeed,
  is,
  objectRule,
  Pipeline,
  PipelineModule,
  RequestContext,
  SUBJECT,
} from 'nestjs-zero-trust';
import pg from 'pg';
import { randomBytes, randomUUID } from 'node:crypto';
import v8 from 'node:v8';
import vm from 'node:vm';
import { HeldPermissions } from '../../dist/access/decision/held-permissions.js';
import { decorate } from './decorate.mjs';

const owned = objectRule({ type: 'thing', name: 'owned', when: is('ownerId', SUBJECT) });

class Nobody extends Authenticator {
  authenticate() {
    return undefined;
  }
}

class StandIn {
  constructor(pipeline) {
    pipeline.useAuthenticator(new Nobody());
  }
}
decorate(StandIn, { on: [Module({})], inject: [Pipeline] });

export class KitDecisions {
  #app;
  #held;
  #feed;
  #owner;
  #principals = new Map();

  constructor(app, owner) {
    this.#app = app;
    this.#owner = owner;
    this.#held = app.get(HeldPermissions);
    this.#feed = app.get(FreshnessFeed);
  }

  static async start({ appUrl, auditUrl, peerUrl }, roles) {
    const permissions = Object.fromEntries(
      roles.map(({ permissions: [first] }) => [first.split(':')[0], ['read', 'write', 'share', 'delete']]),
    );
    class Root {}
    decorate(Root, {
      on: [
        Module({
          imports: [
            PipelineModule,
            DatabaseModule.forRoot({ url: appUrl }),
            EncryptionModule.forRoot({ masterKey: randomBytes(32).toString('base64') }),
            AuditModule.forRoot({ readerUrl: auditUrl }),
            AccessModule.forRoot({ permissions: { ...permissions, 'kind-none': ['read'] } }),
            StandIn,
          ],
        }),
      ],
    });
    const app = await NestFactory.createApplicationContext(Root, { logger: ['error'] });
    const owner = new pg.Client({ connectionString: peerUrl });
    await owner.connect();
    const kit = new KitDecisions(app, owner);
    await kit.#audited('INSERT INTO access.role SELECT unnest($1::text[])', [roles.map(({ name }) => name)]);
    for (const { name, permissions: held, inherits } of roles) {
      await kit.#audited('INSERT INTO access.role_permission SELECT $1, unnest($2::text[])', [name, held]);
      await kit.#audited('INSERT INTO access.role_inherits SELECT $1, unnest($2::text[])', [name, inherits]);
    }
    return kit;
  }

  async stop() {
    await this.#owner.end();
    await this.#app.close();
  }

  /** One grant each, and no others. */
  async grant(subjects) {
    // Put there as if they had always been: telling the feed of 100,000 changes is another measurement.
    await this.#owner.query('ALTER TABLE access."grant" DISABLE TRIGGER tell_replicas');
    await this.#owner.query('TRUNCATE access."grant"');
    await this.#audited(
      `INSERT INTO access."grant" (id, subject, role, reason, granted_by)
       SELECT gen_random_uuid(), s.id, s.role, 'benchmark', 'benchmark' FROM unnest($1::uuid[], $2::text[]) AS s (id, role)`,
      [subjects.map(({ id }) => id), subjects.map(({ role }) => role.name)],
    );
    await this.#owner.query('ANALYZE access."grant"');
    await this.settle();
    this.#held.forget();
  }

  /** Until everything is heard that the database has to tell, and these are known, as idle moments of a service bring it about. */
  async settle(questions = []) {
    const deadline = performance.now() + 60_000;
    do {
      if (performance.now() > deadline)
        throw new Error('the feed does not come to rest: is the machine busy?');
      // What does not answer in time is asked again.
      await this.#feed.confirm().catch(() => undefined);
      for (const { id } of questions) {
        const principal = this.#principals.get(id);
        if (this.#held.known(principal)) continue;
        const context = new RequestContext({ transport: 'http', receivedAtMs: 0 });
        await this.#held.ofRequest(context, principal);
      }
    } while (!this.#feed.isFresh());
  }

  /** Milliseconds that the first question of a subject takes: two statements. Median. */
  async firstSight(questions) {
    const times = [];
    for (const { id } of questions) {
      const principal = Object.freeze({ kind: 'account', subject: id });
      this.#principals.set(id, principal);
      const before = performance.now();
      await this.#held.ofRequest(new RequestContext({ transport: 'http', receivedAtMs: 0 }), principal);
      times.push(performance.now() - before);
    }
    return times.sort((a, b) => a - b)[times.length >> 1];
  }

  /** As the authorize stage does it. */
  decides({ id, permission }) {
    const principal = this.#principals.get(id);
    return decide({ principal, permission: [permission], context: { held: this.#held.known(principal) } })
      .granted;
  }

  decidesOnObject({ id, permission }) {
    const principal = this.#principals.get(id);
    return decide({
      principal,
      permission: [permission],
      resource: { rule: owned, object: { ownerId: id } },
      context: { held: this.#held.known(principal) },
    }).granted;
  }

  /** What the memory of so many subjects takes, by the heap and what it points at. */
  async memoryOf(count) {
    v8.setFlagsFromString('--expose-gc');
    const collect = vm.runInNewContext('gc');
    const used = () => {
      collect();
      collect();
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    };
    const { rows } = await this.#owner.query('SELECT subject FROM access."grant" LIMIT $1', [count]);
    const subjects = rows.map(({ subject }) => subject);
    this.#held.forget();
    const before = used();
    for (const subject of subjects) {
      const context = new RequestContext({ transport: 'http', receivedAtMs: 0 });
      await this.#held.ofRequest(context, { kind: 'account', subject });
    }
    const bytes = used() - before;
    if (!this.#held.known({ kind: 'account', subject: subjects.at(-1) }))
      throw new Error('nothing is remembered');
    return { subjects: subjects.length, bytes };
  }

  /** The database asks everybody for an entry in the same transaction. */
  async #audited(sql, values) {
    await this.#owner.query('BEGIN');
    await this.#owner.query(sql, values);
    await this.#owner.query('INSERT INTO audit.pending (id, entry) VALUES ($1, $2)', [randomUUID(), '{}']);
    await this.#owner.query('COMMIT');
  }
}
