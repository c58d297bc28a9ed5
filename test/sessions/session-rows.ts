import pg from 'pg';

export interface SessionRow {
  readonly generation: number;
  readonly reason: string | null;
  readonly expiresAt: Date;
  readonly createdAt: Date;
  readonly refreshHash: Buffer;
}

export interface AuditRow {
  readonly action: string;
  readonly entry: string;
}

/** `sessions.session` in the hands of its owner: sees everything, and does what only the database's clock would do. */
export class SessionRows {
  private constructor(readonly client: pg.Client) {}

  /** @param url of the database's owner, or of a superuser where that is needed */
  static async connect(url: string): Promise<SessionRows> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    return new SessionRows(client);
  }

  close(): Promise<void> {
    return this.client.end();
  }

  async of(id: string): Promise<SessionRow> {
    const { rows } = await this.client.query<SessionRow>(
      `SELECT generation, ended_reason AS reason, expires_at AS "expiresAt", created_at AS "createdAt",
              refresh_hash AS "refreshHash"
         FROM sessions.session WHERE id = $1`,
      [id],
    );
    return rows[0]!;
  }

  async livingOf(subject: string): Promise<string[]> {
    const { rows } = await this.client.query<{ id: string }>(
      'SELECT id FROM sessions.session WHERE subject = $1 AND ended_at IS NULL AND expires_at > now() ORDER BY id',
      [subject],
    );
    return rows.map(({ id }) => id);
  }

  /** With the event that the database wants. */
  async alter(sql: string, id: string): Promise<void> {
    await this.client.query('BEGIN');
    await this.client.query("INSERT INTO audit.pending (id, entry) VALUES (gen_random_uuid(), '{}')");
    await this.client.query(`UPDATE sessions.session SET ${sql} WHERE id = $1`, [id]);
    await this.client.query('COMMIT');
  }

  /** As if everything in the life of a session had been that much longer ago. */
  age(id: string, interval: string): Promise<void> {
    const columns = ['created_at', 'expires_at', 'last_seen_at', 'rotated_at'];
    return this.alter(columns.map((name) => `${name} = ${name} - interval '${interval}'`).join(), id);
  }

  /** As if the last rotation had been that much longer ago. */
  ageRotation(id: string, interval: string): Promise<void> {
    return this.alter(`rotated_at = rotated_at - interval '${interval}'`, id);
  }

  async countOfFeed(id: string): Promise<number> {
    const { rows } = await this.client.query<{ count: number }>(
      'SELECT count(*)::int AS count FROM freshness.feed WHERE id = $1',
      [id],
    );
    return rows[0]!.count;
  }

  /** What is written in the log, as text, that names all of the given words. */
  async recorded(...words: string[]): Promise<string[]> {
    const { rows } = await this.client.query<{ entry: string }>(
      "SELECT convert_from(entry, 'UTF8') AS entry FROM audit.pending",
    );
    return rows.map(({ entry }) => entry).filter((entry) => words.every((word) => entry.includes(word)));
  }
}
