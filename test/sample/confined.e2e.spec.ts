import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { createTestDatabase } from '../support/database.js';
import { Caller } from '../support/sample.js';

const MAIN = fileURLToPath(new URL('../../sample/dist/main.js', import.meta.url));
const allowed = (...flags: string[]): string[] =>
  flags.filter((flag) => process.allowedNodeEnvironmentFlags.has(flag.split('=')[0]!));
const CONFINED = [
  // It was called experimental before Node.js 22.13.
  ...allowed('--permission', '--experimental-permission').slice(0, 1),
  '--allow-fs-read=*',
  ...allowed('--allow-addons', '--allow-net'),
  '--disallow-code-generation-from-strings',
  '--disable-proto=delete',
];

test('V1.2.5 V1.3.2 V15.3.6 in such a process none of it is possible', async () => {
  const attempts = `
    const codeOf = (work) => { try { work(); return 'done'; } catch (error) { return error.code ?? error.name; } };
    console.log(
      codeOf(() => require('node:child_process').execSync('true')),
      codeOf(() => require('node:fs').writeFileSync('confined', '')),
      codeOf(() => new Function('1')),
      codeOf(() => ({}).__proto__.polluted),
    );`;
  const { stdout } = await promisify(execFile)(process.execPath, [...CONFINED, '-e', attempts]);
  expect(stdout.trim()).toBe('ERR_ACCESS_DENIED ERR_ACCESS_DENIED EvalError TypeError');
});

test('V1.2.5 V1.3.2 V15.3.6 the production service needs to start no process, write no file, and make no code of text', async () => {
  const database = await createTestDatabase();
  const service = spawn(process.execPath, [...CONFINED, MAIN], {
    env: {
      PATH: process.env.PATH,
      PORT: '0',
      PUBLIC_URL: 'https://portal.example.test',
      DATABASE_URL: database.appUrl,
      DATABASE_AUDIT_URL: database.auditUrl,
      ZERO_TRUST_MASTER_KEY: 'D0ydK3rhg1Vm0MPosZ93pFEOa43C+Tp3VOgLHWypP3I=',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const ended = once(service, 'exit');
  try {
    const url = await new Promise<string>((resolve, reject) => {
      const read = (chunk: Buffer): void => {
        output += chunk.toString();
        const listening = /^listening on (http:\S+)$/m.exec(output)?.[1];
        if (listening) resolve(listening);
      };
      service.stdout.on('data', read);
      service.stderr.on('data', read);
      void ended.then(() => {
        reject(new Error(`ended before it listened:\n${output}`));
      });
    });
    const caller = new Caller(url);
    expect((await caller.get('/health/ready')).status).toBe(200);
    const credentials = { email: 'nobody@example.test', password: 'tea house rain moss', delivery: 'token' };
    const refused = await caller.post('/auth/login', credentials);
    expect([refused.status, (refused.body as { code: string }).code]).toEqual([401, 'invalid-credentials']);
    expect((await caller.get('/documents')).status).toBe(401);
    expect((await caller.get('/.well-known/jwks.json')).status).toBe(200);
  } finally {
    service.kill('SIGTERM');
    await ended;
    await database.drop();
  }
  expect(output).not.toMatch(/ERR_ACCESS_DENIED|EvalError/);
});
