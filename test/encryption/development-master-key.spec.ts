import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { BootError } from '../../src/core/zero-trust-error.js';
import { developmentMasterKey } from '../../src/encryption/development-master-key.js';
import { generateMasterKey, parseMasterKey } from '../../src/encryption/master-key.js';
import { createSecretFile } from '../../src/encryption/secret-file.js';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'master-key-'));
  file = join(folder, 'data', 'master.key');
  vi.stubEnv('NODE_ENV', 'development');
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

describe('The master key of a development machine', () => {
  test('is made once, with mode 0600, and is the same at the next start', () => {
    const first = developmentMasterKey(file);

    expect(parseMasterKey(first).symmetricKeySize).toBe(32);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(developmentMasterKey(file)).toBe(first);
    expect(readdirSync(join(folder, 'data'))).toEqual(['master.key']);
  });

  test.each(['production', undefined, '', 'Development'])(
    'ENC-10 is never made in production: NODE_ENV %s',
    (environment) => {
      vi.stubEnv('NODE_ENV', environment);

      expect(() => developmentMasterKey(file)).toThrow(BootError);
      expect(existsSync(file)).toBe(false);
    },
  );

  test.each([0o640, 0o604, 0o660, 0o666, 0o610])('JWT-21 is refused from a file of mode %o', (mode) => {
    const key = developmentMasterKey(file);
    chmodSync(file, mode);

    let thrown: unknown;
    try {
      developmentMasterKey(file);
    } catch (error) {
      thrown = error;
    }

    expect(thrown).toBeInstanceOf(BootError);
    expect(String(thrown)).toContain('chmod 600');
    expect(String(thrown)).not.toContain(key);
  });

  test('JWT-21 is refused from a file of another user', () => {
    developmentMasterKey(file);
    const someoneElse = (process.geteuid?.() ?? 0) + 1;
    const spy = vi.spyOn(process, 'geteuid').mockReturnValue(someoneElse);

    expect(() => developmentMasterKey(file)).toThrow('belongs to another user');
    spy.mockRestore();
  });

  test('is not read through a symbolic link', () => {
    developmentMasterKey(file);
    const link = join(folder, 'link.key');
    symlinkSync(file, link);

    expect(() => developmentMasterKey(link)).toThrow(BootError);
  });

  test('a secret file that stands is never overwritten', () => {
    const key = generateMasterKey();
    expect(createSecretFile(file, key)).toBe(true);

    expect(createSecretFile(file, generateMasterKey())).toBe(false);
    expect(readFileSync(file, 'utf8')).toBe(key);
  });

  test('a file that cannot be made says so without a stack', () => {
    writeFileSync(join(folder, 'data'), 'a file where a folder should be');

    expect(() => developmentMasterKey(file)).toThrow(/cannot be used \((EEXIST|ENOTDIR)\)/);
  });
});
