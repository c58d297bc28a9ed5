import { readFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startSample, type Sample } from '../support/sample.js';

const page = (name: string): string =>
  readFileSync(new URL(`../../docs/${name}.md`, import.meta.url), 'utf8');
const CLASSES = ['secret', 'sealed', 'personal', 'business', 'internal', 'public'];
const IBAN = 'DE89370400440532013000';
const DEVICE = 'MarkerBrowser/7.7';

/** Each column of docs/data.md with its class. */
const columns = [...page('data').matchAll(/^\| `([a-z_.]+)` +\| (\w+) +\| ([a-z_ ]+?) +\|$/gm)].flatMap(
  ([, table, kind, names]) => names!.split(' ').map((name) => ({ table: table!, name, kind: kind! })),
);

describe('what docs/data.md says', () => {
  let sample: Sample;
  let superuser: pg.Client;
  beforeAll(async () => {
    sample = await startSample();
    superuser = new pg.Client({ connectionString: sample.database.superuserUrl });
    await superuser.connect();
    const { email, password } = sample.accounts.find((each) => each.email === 'clerk@example.test')!;
    const signedIn = await sample.anonymous.send(
      'POST',
      '/auth/login',
      { email, password, delivery: 'token' },
      { 'user-agent': DEVICE },
    );
    const { accessToken } = signedIn.body as { accessToken: string };
    const invoice = { clientName: 'ACME', iban: IBAN, amountCents: 5, currency: 'EUR' };
    const made = await sample.anonymous.send('POST', '/invoices', invoice, {
      authorization: `Bearer ${accessToken}`,
    });
    expect(made.status).toBe(201);
  });
  afterAll(async () => {
    await superuser.end();
    await sample.close();
  });

  test('V14.1.1 every column of the database has one class', async () => {
    const { rows } = await superuser.query<{ column: string }>(
      `SELECT table_schema || '.' || table_name || '.' || column_name AS column
         FROM information_schema.columns WHERE table_schema NOT IN ('pg_catalog', 'information_schema')`,
    );
    expect(rows.length).toBeGreaterThan(80);
    expect(columns.map(({ table, name }) => `${table}.${name}`).sort()).toEqual(
      rows.map(({ column }) => column).sort(),
    );
    expect([...new Set(columns.map(({ kind }) => kind))].sort()).toEqual([...CLASSES].sort());
  });

  test('V14.1.1 every field of a request has one class', () => {
    const fields = new Set(
      [...page('inputs').matchAll(/^\| `\w+` +\| `(\w+)` +\| .+\|$/gm)].map(([, field]) => field!),
    );
    const classed = [...page('data').matchAll(/^\| (\w+) +\| ([A-Za-z ]+?) +\|$/gm)]
      .filter(([, kind]) => CLASSES.includes(kind!))
      .flatMap(([, , names]) => names!.split(' '));
    expect(fields.size).toBeGreaterThan(30);
    expect(classed.sort()).toEqual([...fields].sort());
  });

  test('V14.2.4 what is sealed is an envelope wherever it is stored, and what is secret a hash', async () => {
    const guarded = columns.filter(({ kind }) => kind === 'sealed' || kind === 'secret');
    expect(guarded.length).toBeGreaterThan(9);
    for (const { table, name, kind } of guarded) {
      const { rows } = await superuser.query<{ value: Buffer | string }>(
        `SELECT ${name} AS value FROM ${table.replace('.', '."')}" WHERE ${name} IS NOT NULL`,
      );
      // Nobody has a challenge open, and nobody came from a place that counts as known: these two may be empty.
      if (!['token_hash', 'source'].includes(name))
        expect(rows.length, `${table}.${name}`).toBeGreaterThan(0);
      for (const { value } of rows) {
        if (kind === 'sealed') expect([table, name, (value as Buffer)[0]]).toEqual([table, name, 1]);
        else if (typeof value === 'string') expect(value).toMatch(/^\$argon2id\$/);
        else expect([table, name, value.length]).toEqual([table, name, 32]);
      }
    }
  });

  test('V14.2.4 no marker of what is secret, sealed or personal is in the audit log or in a readable column', async () => {
    const markers = [
      IBAN,
      DEVICE,
      ...sample.accounts.flatMap(({ password, totpSecret }) => [password, totpSecret]),
    ];
    const names = sample.accounts.map(({ email }) => email);
    const readable = new Map<string, string[]>();
    for (const { table, name, kind } of columns) {
      if (kind === 'internal' || kind === 'business' || kind === 'public') {
        readable.set(table, [...(readable.get(table) ?? []), name]);
      }
    }
    for (const [table, read] of readable) {
      const list = read.map((name) =>
        name === 'entry' ? `convert_from(entry, 'UTF8') AS entry` : `"${name}"`,
      );
      const { rows } = await superuser.query(`SELECT ${list.join(', ')} FROM ${table.replace('.', '."')}"`);
      const text = JSON.stringify(rows);
      for (const marker of [...markers, ...names]) {
        if (marker !== undefined)
          expect(text.includes(marker), `${table} holds ${marker.slice(0, 4)}…`).toBe(false);
      }
    }
  });
});
