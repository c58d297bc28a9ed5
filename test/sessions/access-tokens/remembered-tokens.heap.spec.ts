import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';

describe('verified tokens in memory', () => {
  test('leave nothing in memory by which they could be used', async () => {
    const script = fileURLToPath(new URL('./heap-of-remembered-tokens.mjs', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [script]);
    expect(JSON.parse(stdout)).toEqual({ said: true, signature: false, size: 1 });
  });
});
