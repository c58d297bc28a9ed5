import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import pg from 'pg';
import { SYSTEM_PRINCIPAL } from '../../src/access/grants/actor.js';
import { GrantsService } from '../../src/access/grants/grants.service.js';
import { Caller, startSample, type Answer, type Sample } from '../support/sample.js';

const IBAN = 'DE89370400440532013000';
const INVOICE = { clientName: 'Ada Ltd', iban: IBAN, amountCents: 12_345, currency: 'EUR' };

interface InvoiceBody {
  id: string;
  iban: string;
  amountCents: number;
}

describe('invoices', () => {
  let sample: Sample;
  let clerk: Caller;
  let approver: Caller;

  beforeAll(async () => {
    sample = await startSample();
    [clerk, approver] = await Promise.all([sample.signIn('clerk'), sample.signIn('approver')]);
  });
  afterAll(() => sample.close());

  test('a clerk makes an invoice and sees its account number masked', async () => {
    const made = await clerk.post('/invoices', INVOICE);
    expect([made.status, made.body]).toEqual([
      201,
      expect.objectContaining({
        clientName: 'Ada Ltd',
        amountCents: 12_345,
        currency: 'EUR',
        iban: '••••3000',
      }),
    ]);
    const { id } = made.body as InvoiceBody;
    expect((await clerk.get(`/invoices/${id}`)).body).toEqual(made.body);
    expect(
      ((await clerk.get('/invoices')).body as { items: InvoiceBody[] }).items.map((each) => each.iban),
    ).toEqual(['••••3000']);
  });

  test('who holds invoices:read-iban sees the account number whole', async () => {
    const { id } = (await clerk.post('/invoices', INVOICE)).body as InvoiceBody;
    expect(((await approver.get(`/invoices/${id}`)).body as InvoiceBody).iban).toBe(IBAN);
  });

  test('nobody makes an invoice without invoices:write, and roles of another zone see none', async () => {
    expect((await approver.post('/invoices', INVOICE)).status).toBe(403);
    const viewer = await sample.signIn('viewer');
    const admin = await sample.signIn('admin');
    expect((await viewer.get('/invoices')).status).toBe(403);
    expect((await admin.get('/invoices')).status).toBe(403);
  });

  describe('approval', () => {
    const approve = (caller: Caller, id: string): Promise<Answer> => caller.post(`/invoices/${id}/approve`);
    const made = async (by = clerk): Promise<string> =>
      ((await by.post('/invoices', INVOICE)).body as InvoiceBody).id;

    test('an invoice is approved once, by somebody who may', async () => {
      const id = await made();
      expect((await approve(clerk, id)).status).toBe(403);
      const approved = await approve(approver, id);
      expect([approved.status, approved.body]).toEqual([
        200,
        expect.objectContaining({
          id,
          approvedBy: await sample.accountId('approver'),
          approvedAt: expect.any(String) as string,
        }),
      ]);
      expect((await approve(approver, id)).status).toBe(409);
      expect((await approve(approver, randomUUID())).status).toBe(404);
      expect((await approve(approver, 'x')).status).toBe(400);
    });

    test('of several who approve one at the same moment, one does', async () => {
      const id = await made();
      const answers = await Promise.all(Array.from({ length: 8 }, () => approve(approver, id)));
      expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(7).fill(409)]);
    });

    test('whoever made an invoice cannot approve it, whatever roles they hold', async () => {
      await sample.app
        .get(GrantsService)
        .grant(
          { subject: await sample.accountId('approver'), role: 'clerk', reason: 'covers for a colleague' },
          SYSTEM_PRINCIPAL,
        );
      const own = await made(approver);
      expect((await approve(approver, own)).status).toBe(403);
      expect((await approver.get(`/invoices/${own}`)).body).toMatchObject({ approvedBy: null });
      expect((await approve(approver, await made())).status).toBe(200);
    });

    test('MFA-20 a client that follows the challenge of RFC 9470 approves', async () => {
      const id = await made();
      const { password } = sample.accounts.find(({ email }) => email === 'approver@example.test')!;
      const stepUp = async (by: Caller, proof: object): Promise<Caller> => {
        const answer = await by.post('/auth/step-up', proof);
        return new Caller(sample.url, (answer.body as { accessToken: string }).accessToken);
      };
      const lowered = await stepUp(approver, { method: 'password', password });
      const refused = await approve(lowered, id);
      expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([
        401,
        'Bearer error="insufficient_user_authentication", acr_values="aal2", max_age="300"',
      ]);
      approver = await stepUp(lowered, { method: 'totp', code: sample.codeOf('approver') });
      expect((await approve(approver, id)).status).toBe(200);
    });
  });

  test('ENC-01 the account number is nowhere in the stored row', async () => {
    await clerk.post('/invoices', INVOICE);
    const client = new pg.Client({ connectionString: sample.database.superuserUrl });
    await client.connect();
    try {
      const { rows } = await client.query<{ row: string; iban: Buffer }>(
        'SELECT i::text AS row, iban FROM invoices.invoice i',
      );
      expect(rows.length).toBeGreaterThan(0);
      for (const { row, iban } of rows) {
        expect(row).not.toContain(IBAN);
        expect(row).not.toContain(Buffer.from(IBAN).toString('hex'));
        expect(iban.includes('3000')).toBe(false);
      }
    } finally {
      await client.end();
    }
  });

  test('ENC-15 a row whose sealed value was moved from another row gives the answer of any broken row', async () => {
    const first = (await clerk.post('/invoices', INVOICE)).body as InvoiceBody;
    const second = (await clerk.post('/invoices', INVOICE)).body as InvoiceBody;
    const client = new pg.Client({ connectionString: sample.database.superuserUrl });
    await client.connect();
    try {
      await client.query(
        'UPDATE invoices.invoice SET iban = (SELECT iban FROM invoices.invoice WHERE id = $1) WHERE id = $2',
        [first.id, second.id],
      );
      const answer = await approver.get(`/invoices/${second.id}`);
      expect([answer.status, (answer.body as { code: string }).code]).toEqual([500, 'internal-error']);
      expect(answer.text).not.toContain(IBAN);
      await client.query('DELETE FROM invoices.invoice WHERE id = $1', [second.id]);
    } finally {
      await client.end();
    }
  });

  test('VAL-17 numbers at the edge are refused', async () => {
    for (const amountCents of [
      'NaN',
      'Infinity',
      '-0',
      '0',
      '-1',
      '1e21',
      '9007199254740993',
      '2147483648.5',
      '"1,5"',
      '"100"',
      'null',
      'true',
      '1.5',
    ]) {
      const body = JSON.stringify(INVOICE).replace('12345', amountCents);
      const response = await fetch(`${sample.url}/invoices`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${clerk.token!}` },
        body,
      });
      expect(response.status, amountCents).toBe(400);
    }
  });

  test('a wrong account number or currency is refused, and its value is not repeated', async () => {
    for (const wrong of [
      { iban: 'DE00370400440532013000' },
      { iban: '' },
      { currency: 'eur' },
      { currency: 'EURO' },
      { clientName: '' },
    ]) {
      const answer = await clerk.post('/invoices', { ...INVOICE, ...wrong });
      expect(answer.status, JSON.stringify(wrong)).toBe(400);
      expect(answer.text).not.toContain('DE00');
    }
  });
});
