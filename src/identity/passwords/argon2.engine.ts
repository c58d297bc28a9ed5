import { Injectable } from '@nestjs/common';
import { hash, verify } from '@node-rs/argon2';
import type { Argon2Parameters } from './phc-string.js';

/** The hash function itself (RFC 9106), on libuv's threads. Bounds nothing: only PasswordHasher may call it. */
@Injectable()
export class Argon2Engine {
  hash(password: string, parameters: Argon2Parameters, secret: Buffer): Promise<string> {
    // Algorithm and version are left to their defaults, argon2id and 19: their enums are ambient and cannot be imported.
    return hash(password, {
      memoryCost: parameters.memoryKib,
      timeCost: parameters.iterations,
      parallelism: parameters.parallelism,
      outputLen: 32,
      secret,
    });
  }

  verify(phc: string, password: string, secret: Buffer): Promise<boolean> {
    return verify(phc, password, { secret });
  }
}
