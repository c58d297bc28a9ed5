import { ConfigurableModuleBuilder } from '@nestjs/common';
import { BootError } from '../core/zero-trust-error.js';

/** Where the master key comes from, and how long data keys stay in memory. */
export interface EncryptionOptions {
  /**
   * The root of every key: 32 random bytes as base64, base64url or hex. Make one with `zero-trust keys generate`.
   * There is no default: left out, the application refuses to start, in development too
   * (where `developmentMasterKey(file)` makes and keeps one).
   */
  readonly masterKey: string | undefined;
  /**
   * How long an opened data key stays in memory, 1 to 300: after that a key that was retired is refused here too.
   * @default 300
   */
  readonly dataKeyCacheSeconds?: number;
  /**
   * How many opened data keys stay in memory, the least recently used goes first; at least 10.
   * @default 1000
   */
  readonly dataKeyCacheEntries?: number;
}

export interface CacheLimits {
  readonly lifeMs: number;
  readonly entries: number;
}

/** @throws BootError when an option is outside of its range. */
export function cacheLimitsOf(options: EncryptionOptions): CacheLimits {
  const { dataKeyCacheSeconds = 300, dataKeyCacheEntries = 1000 } = options;
  const faults: string[] = [];
  if (!Number.isInteger(dataKeyCacheSeconds) || dataKeyCacheSeconds < 1 || dataKeyCacheSeconds > 300) {
    faults.push('dataKeyCacheSeconds is not a whole number from 1 to 300: correct it or leave it out (300).');
  }
  if (!Number.isInteger(dataKeyCacheEntries) || dataKeyCacheEntries < 10) {
    faults.push(
      'dataKeyCacheEntries is not a whole number of at least 10: correct it or leave it out (1000).',
    );
  }
  if (faults.length > 0) throw new BootError('EncryptionModule', faults);
  return { lifeMs: dataKeyCacheSeconds * 1000, entries: dataKeyCacheEntries };
}

export const { ConfigurableModuleClass: EncryptionModuleBase, MODULE_OPTIONS_TOKEN: ENCRYPTION_OPTIONS } =
  new ConfigurableModuleBuilder<EncryptionOptions>().setClassMethodName('forRoot').build();
