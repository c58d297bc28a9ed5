import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import pg from 'pg';
import { startSample, type Caller, type Sample } from '../support/sample.js';

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
