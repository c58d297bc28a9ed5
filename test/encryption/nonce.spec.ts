import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const RECORD_BYTES = 29 + 6 + 16;
const EACH = 100_000;

/** Seals one and the same value for one and the same cell, again and again, and prints the envelopes. */
const SEALER = `
import { createSecretKey } from 'node:crypto';
import { sealEnvelope } from './envelope.js';
import { XaesKey } from './xaes.js';
const key = { shortId: 1, xaes: new XaesKey(createSecretKey(Buffer.from(process.argv[2], 'hex'))) };
const content = Buffer.from('\\x01value');
const envelopes = [];
for (let i = 0; i < ${EACH}; i++) envelopes.push(sealEnvelope(key, 'crm.customer.email\\0tenant\\0row', content));
process.stdout.write(Buffer.concat(envelopes));
`;

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nonce-'));
  for (const file of ['xaes', 'envelope']) {
    const source = readFileSync(new URL(`../../src/encryption/${file}.ts`, import.meta.url), 'utf8');
    const compilerOptions = { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext };
    writeFileSync(join(folder, `${file}.js`), ts.transpileModule(source, { compilerOptions }).outputText);
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'sealer.js'), SEALER);
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('Nonces', () => {
  test('ENC-04 200,000 seals of one value under one key in two processes repeat neither nonce nor ciphertext', async () => {
    const key = randomBytes(32).toString('hex');
    const options = { encoding: 'buffer', maxBuffer: EACH * RECORD_BYTES } as const;
    const seal = () => promisify(execFile)(process.execPath, [join(folder, 'sealer.js'), key], options);

    const outputs = await Promise.all([seal(), seal()]);

    const nonces = new Set<string>();
    const ciphertexts = new Set<string>();
    for (const { stdout } of outputs) {
      expect(stdout.length).toBe(EACH * RECORD_BYTES);
      for (let at = 0; at < stdout.length; at += RECORD_BYTES) {
        nonces.add(stdout.toString('latin1', at + 5, at + 29));
        ciphertexts.add(stdout.toString('latin1', at + 29, at + RECORD_BYTES));
      }
    }
    expect(nonces.size).toBe(2 * EACH);
    expect(ciphertexts.size).toBe(2 * EACH);
  });
});
