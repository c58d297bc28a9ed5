import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret, TOTP } from 'otpauth';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seedDemoAccounts, type DemoAccount } from '../../sample/src/demo-accounts.js';
import { startSample, type Sample } from '../support/sample.js';

describe('the demo accounts', () => {
  let sample: Sample;
  let folder: string;
  let file: string;
  beforeAll(async () => {
    sample = await startSample();
    folder = await mkdtemp(join(tmpdir(), 'demo-accounts-'));
    file = join(folder, 'demo-accounts.json');
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
    await sample.close();
  });

  const readFactors = async (): Promise<Record<string, string | undefined>> => {
    const accounts = JSON.parse(await readFile(file, 'utf8')) as DemoAccount[];
    return Object.fromEntries(accounts.map(({ email, totpSecret }) => [email.split('@')[0]!, totpSecret]));
  };
  const signIn = async (name: string, secret: string): Promise<number> => {
    const { email, password } = sample.accounts.find((each) => each.email === `${name}@example.test`)!;
    const asked = await sample.anonymous.post('/auth/login', { email, password, delivery: 'token' });
    const { challengeId } = asked.body as { challengeId: string };
    const code = TOTP.generate({ secret: Secret.fromBase32(secret) });
    const answer = await sample.anonymous.post('/auth/login/mfa', { challengeId, method: 'totp', code });
    return answer.status;
  };

  test('of those who administer or approve have a second factor, whose secret is in the file for nobody else to read', async () => {
    // A start that was cut short: the accounts are there, and their factors were not written down.
    const bare = sample.accounts.map((account) => ({ ...account, totpSecret: undefined }));
    await writeFile(file, JSON.stringify(bare));
    const { accounts, made } = await seedDemoAccounts(sample.app, file);
    expect(made).toBe(false);
    const factors = await readFactors();
    expect(factors).toEqual({
      admin: expect.stringMatching(/^[A-Z2-7]{32}$/) as string,
      approver: expect.stringMatching(/^[A-Z2-7]{32}$/) as string,
      editor: undefined,
      viewer: undefined,
      clerk: undefined,
    });
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(accounts);
    expect((await stat(file)).mode & 0o077).toBe(0);
    const before = sample.accounts.find(({ email }) => email.startsWith('admin'))!.totpSecret!;
    expect(await signIn('admin', before)).toBe(401);
    expect(await signIn('admin', factors['admin']!)).toBe(200);
  });

  test('stay as they are at the next start', async () => {
    const before = await readFile(file, 'utf8');
    await seedDemoAccounts(sample.app, file);
    expect(await readFile(file, 'utf8')).toBe(before);
    expect(await signIn('approver', (await readFactors())['approver']!)).toBe(200);
  });
});
