import { BootError } from '../core/zero-trust-error.js';
import { generateMasterKey } from './master-key.js';
import { ExposedFileError, createSecretFile, readSecretFile } from './secret-file.js';

/**
 * The master key of a development machine: made on the first start, kept in `file` with mode 0600.
 *
 * @throws BootError in production (and `NODE_ENV` unset is production: a key that is made there in silence is a
 * key that nobody keeps), and when anybody but the owner may read the file.
 */
export function developmentMasterKey(file: string): string {
  const environment = process.env.NODE_ENV;
  if (environment !== 'development' && environment !== 'test') {
    throw new BootError('EncryptionModule', [
      'masterKey (ZERO_TRUST_MASTER_KEY) is not set, and none is made in production: make one with ' +
        '`zero-trust keys generate`, or set NODE_ENV=development on a development machine.',
    ]);
  }
  try {
    const made = generateMasterKey();
    return createSecretFile(file, `${made}\n`) ? made : readSecretFile(file).trim();
  } catch (error) {
    const fault = error instanceof ExposedFileError ? error.message : `cannot be used (${codeOf(error)})`;
    throw new BootError('EncryptionModule', [`the file of the development master key, ${file}, ${fault}.`]);
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
}
