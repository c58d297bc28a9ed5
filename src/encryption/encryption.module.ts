import { Global, Module } from '@nestjs/common';
import { DataKeyStore } from './data-key.store.js';
import { EncryptionModuleBase } from './encryption.options.js';
import { FieldCipher } from './field-cipher.js';
import { KeyRing } from './key-ring.js';

/**
 * Keys and sealed fields. Importable alone beside `PipelineModule` and `DatabaseModule`:
 *
 * ```ts
 * EncryptionModule.forRoot({ masterKey: process.env.ZERO_TRUST_MASTER_KEY })
 * ```
 */
@Global()
@Module({ providers: [DataKeyStore, KeyRing, FieldCipher], exports: [KeyRing, FieldCipher] })
export class EncryptionModule extends EncryptionModuleBase {}
