import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keysCommand } from '../../../src/cli/keys.command.js';
import { runCli } from '../../../src/cli/run-cli.js';
import { KEYS_TRUSTED_MS } from '../../../src/sessions/signing-keys/signing-key.schedule.js';
import { SigningKeys } from '../../../src/sessions/signing-keys/signing-keys.js';
import { MASTER_KEY, takeApart } from '../sessions-application.js';
import { acceptedFor, KeysDatabase, publishedBy } from './signing-keys.database.js';

let house: KeysDatabase;
beforeEach(async () => {
  house = await KeysDatabase.open();
});
afterEach(() => house.close());

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function zeroTrust(argv: readonly string[], environment: Record<string, string> = {}): Promise<Run> {
  const lines = { out: [] as string[], err: [] as string[] };
  const code = await runCli([keysCommand], ['keys', ...argv], {
    environment: {
      NODE_ENV: 'test',
      DATABASE_URL: house.database.appUrl,
      DATABASE_AUDIT_URL: house.database.auditUrl,
      ZERO_TRUST_MASTER_KEY: MASTER_KEY,
      ...environment,
    },
    out: (line) => void lines.out.push(line),
    err: (line) => void lines.err.push(line),
  });
  return { code, out: lines.out.join('\n'), err: lines.err.join('\n') };
}

interface Outcome {
  readonly made: string | null;
  readonly next: string | null;
  readonly refused: readonly string[];
}

const outcomeOf = ({ out }: Run): Outcome => JSON.parse(out) as Outcome;

describe('zero-trust keys rotate', () => {
  test('publishes a key that the running service signs with later; asked twice it makes no second one', async () => {
    const started = await house.start();
    const first = (await started.key()).kid;

    const run = await zeroTrust(['rotate']);
    const second = await house.next();
    const again = await zeroTrust(['rotate']);

    expect(run).toMatchObject({ code: 0, err: '' });
    expect(run.out).toContain(`published ${second} (ES256)`);
    expect(again.out).toContain(`${second} has been published for`);
    expect(await house.states()).toEqual({ [first]: 'active', [second]: 'next' });
    expect(await house.events()).toEqual([
      ['key.created', first],
      ['key.created', second],
    ]);
    await started.app.get(SigningKeys).reload();
    expect((await started.key()).kid).toBe(first);
    expect((await publishedBy(started)).map(({ kid }) => kid)).toContain(second);
    await house.age(second, 3600);
    expect(await started.app.get(SigningKeys).rotateIfDue()).toBe(true);
    expect((await started.key()).kid).toBe(second);
  });

  test('with --dry-run it says what it would do, and changes nothing', async () => {
    const started = await house.start();
    const before = await house.rows();
    const { kid } = await started.key();

    const plain = await zeroTrust(['rotate', '--dry-run']);
    const now = await zeroTrust(['rotate', '--dry-run', '--now']);
    const json = await zeroTrust(['rotate', '--dry-run', '--now', '--json']);

    expect(plain).toMatchObject({ code: 0, out: 'would publish a new key (ES256); nothing was changed' });
    expect(now.code).toBe(0);
    expect(now.out.split('\n')[0]).toBe('would refuse at once, on every replica within a second:');
    expect(now.out).toContain(`  ${kid}  active`);
    expect(now.out).toContain('nothing was changed');
    expect(JSON.parse(json.out)).toEqual({
      ...{ dryRun: true, now: true, algorithm: 'ES256', made: null, next: null },
      refused: [kid],
    });
    expect(await house.rows()).toEqual(before);
    expect(await house.events()).toEqual([['key.created', kid]]);
  });

  test('JWT-22 with --now every key is refused on every replica within a second, and says so before', async () => {
    const [one, two] = [await house.start(), await house.start()];
    const first = (await one.key()).kid;
    const next = await house.addNext(one);
    const { accessToken } = await one.open();
    for (const each of [one, two]) expect((await each.ask(accessToken)).status).toBe(200);

    const run = await zeroTrust(['rotate', '--now', '--json']);
    const committed = performance.now();
    const accepted = await Promise.all(
      [one, two].map((each) => acceptedFor(each, () => accessToken, committed)),
    );

    for (const each of accepted) expect(each).toBeLessThan(KEYS_TRUSTED_MS);
    const { made, refused } = outcomeOf(run);
    expect(run.code).toBe(0);
    expect(run.err.split('\n')[0]).toBe('refuses at once, on every replica within a second:');
    expect(new Set(refused)).toEqual(new Set([first, next]));
    expect(await house.states()).toEqual({ [first]: 'retired', [next]: 'retired', [made!]: 'active' });
    for (const each of [one, two]) {
      expect((await publishedBy(each)).map(({ kid }) => kid)).toEqual([made]);
      const fresh = (await each.open()).accessToken;
      expect(takeApart(fresh).header['kid']).toBe(made);
      for (const judge of [one, two]) expect((await judge.ask(fresh)).status).toBe(200);
    }
    expect((await house.events()).map(([action]) => action)).toEqual([
      ...['key.created', 'key.revoked', 'key.revoked', 'key.created'],
    ]);
  });

  test('with --now a key that was retired and accepted yet is refused too', async () => {
    const started = await house.start();
    const { accessToken } = await started.open();
    const first = (await started.key()).kid;
    const second = await house.addNext(started);
    await house.age(second, 3600);
    await started.app.get(SigningKeys).rotateIfDue();
    expect((await started.ask(accessToken)).status).toBe(200);

    expect(new Set(outcomeOf(await zeroTrust(['rotate', '--now', '--json'])).refused)).toEqual(
      new Set([first, second]),
    );
    await started.app.get(SigningKeys).reload();
    expect((await started.ask(accessToken)).status).toBe(401);
  });

  test('with --now a service starts again whose active key is lost', async () => {
    await (await house.start()).app.close();
    await house.write(
      'UPDATE sessions.signing_key SET private_sealed = set_byte(private_sealed, 60, get_byte(private_sealed, 60) # 1)',
    );
    await expect(house.start()).rejects.toThrow('zero-trust keys rotate --now');

    const { made } = outcomeOf(await zeroTrust(['rotate', '--now', '--json']));

    expect((await (await house.start()).key()).kid).toBe(made);
  });

  test('of two commands at the same moment one makes the key to follow, and --now leaves one key', async () => {
    await house.start();
    const both = await Promise.all([zeroTrust(['rotate', '--json']), zeroTrust(['rotate', '--json'])]);
    expect(both.map((run) => outcomeOf(run).made).filter((made) => made !== null).length).toBe(1);
    await Promise.all([zeroTrust(['rotate', '--now', '--json']), zeroTrust(['rotate', '--now', '--json'])]);
    const states = Object.values(await house.states());
    expect(states.filter((state) => state !== 'retired')).toEqual(['active']);
  });

  test.each([
    ['before the first start', {}, 'there is no active signing key'],
    ['without a master key', { ZERO_TRUST_MASTER_KEY: '' }, 'ZERO_TRUST_MASTER_KEY is not set'],
    ['without the audit login', { DATABASE_AUDIT_URL: '' }, 'DATABASE_AUDIT_URL is not set'],
    ['with a URL that is none', { DATABASE_URL: 'nonsense-hunter2' }, 'DATABASE_URL is not a URL'],
    [
      'with a database that is away',
      { DATABASE_URL: 'postgres://a:hunter2@127.0.0.1:1/x' },
      'cannot be reached',
    ],
  ])('%s it says so in one line, and changes nothing', async (_, environment, message) => {
    const run = await zeroTrust(['rotate'], environment);
    expect(run.code).toBe(1);
    expect(run.err).toContain(message);
    expect(run.err.split('\n')).toHaveLength(1);
    expect(run.err + run.out).not.toContain('hunter2');
    expect(await house.rows()).toEqual([]);
  });
});

describe('zero-trust keys status', () => {
  test('lists the signing keys that count, with their times and without their material', async () => {
    const started = await house.start();
    const first = (await started.key()).kid;
    const second = await house.addNext(started);
    await house.age(second, 3600);
    await started.app.get(SigningKeys).rotateIfDue();
    const third = await house.addNext(started);

    const json = await zeroTrust(['status', '--json']);
    const plain = await zeroTrust(['status']);

    const { signingKeys } = JSON.parse(json.out) as { signingKeys: Record<string, unknown>[] };
    expect(new Map(signingKeys.map(({ kid, state }) => [kid, state]))).toEqual(
      new Map([
        [first, 'retired'],
        [second, 'active'],
        [third, 'next'],
      ]),
    );
    for (const key of signingKeys) {
      expect(Object.keys(key)).toEqual([
        ...['kid', 'algorithm', 'state', 'createdAt', 'activatedAt', 'acceptedUntil'],
      ]);
    }
    for (const kid of [first, second, third]) expect(plain.out).toContain(`${kid}  signing  ES256`);
    for (const { private_sealed } of await house.rows()) {
      for (const encoding of ['hex', 'base64', 'base64url'] as const) {
        expect(json.out + plain.out).not.toContain(private_sealed.toString(encoding).slice(0, 40));
      }
    }
    await house.age(first, 935);
    expect((await zeroTrust(['status'])).out).not.toContain(first);
  });
});
