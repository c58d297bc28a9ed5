import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';

/** XAES-256-GCM: AES-256-GCM with a 192-bit nonce, safe to draw at random for 2^80 messages a key (c2sp.org/XAES-256-GCM). */
export const XAES_KEY_BYTES = 32;
export const XAES_NONCE_BYTES = 24;
export const XAES_TAG_BYTES = 16;

const BLOCK_BYTES = 16;
const HALF_NONCE_BYTES = 12;

/** One key, with the part of its schedule that all messages share (K1 of CMAC, NIST SP 800-38B 6.1). */
export class XaesKey {
  readonly #key: KeyObject;
  readonly #k1: Buffer;

  constructor(key: KeyObject) {
    if (key.type !== 'secret' || key.symmetricKeySize !== XAES_KEY_BYTES) {
      throw new TypeError('XaesKey: a secret key of 32 bytes is needed.');
    }
    this.#key = key;
    this.#k1 = doubled(this.#encryptBlocks(Buffer.alloc(BLOCK_BYTES)));
  }

  /** @returns ciphertext ‖ tag. Never call it twice with one nonce: callers draw it at random, 24 bytes. */
  seal(nonce: Buffer, plaintext: Buffer, additionalData: Buffer): Buffer {
    const derived = this.#derive(nonce);
    try {
      const cipher = createCipheriv('aes-256-gcm', derived, nonce.subarray(HALF_NONCE_BYTES), {
        authTagLength: XAES_TAG_BYTES,
      });
      cipher.setAAD(additionalData);
      return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
    } finally {
      derived.fill(0);
    }
  }

  /** @returns the plaintext, or undefined when anything was altered: never a part of it (ASVS 11.3.3). */
  open(nonce: Buffer, sealed: Buffer, additionalData: Buffer): Buffer | undefined {
    if (sealed.length < XAES_TAG_BYTES) return undefined;
    const derived = this.#derive(nonce);
    const tagStart = sealed.length - XAES_TAG_BYTES;
    let plaintext: Buffer | undefined;
    try {
      const decipher = createDecipheriv('aes-256-gcm', derived, nonce.subarray(HALF_NONCE_BYTES), {
        authTagLength: XAES_TAG_BYTES,
      });
      decipher.setAAD(additionalData);
      decipher.setAuthTag(sealed.subarray(tagStart));
      plaintext = decipher.update(sealed.subarray(0, tagStart));
      decipher.final();
      return plaintext;
    } catch {
      plaintext?.fill(0);
      return undefined;
    } finally {
      derived.fill(0);
    }
  }

  /** NIST SP 800-108r1 in counter mode over CMAC: label `X`, context = the first half of the nonce. */
  #derive(nonce: Buffer): Buffer {
    if (nonce.length !== XAES_NONCE_BYTES) throw new TypeError('XaesKey: the nonce is 24 bytes.');
    const blocks = Buffer.alloc(2 * BLOCK_BYTES);
    for (const counter of [1, 2]) {
      const block = blocks.subarray((counter - 1) * BLOCK_BYTES, counter * BLOCK_BYTES);
      block.set([0x00, counter, 0x58, 0x00]);
      nonce.copy(block, 4, 0, HALF_NONCE_BYTES);
      for (let i = 0; i < BLOCK_BYTES; i++) block[i] = (block[i] ?? 0) ^ (this.#k1[i] ?? 0);
    }
    return this.#encryptBlocks(blocks);
  }

  /**
   * The bare block cipher, which node:crypto only offers under the name of ECB. It never touches data: CMAC
   * feeds it single blocks that cannot repeat between counters (ASVS 11.3.1 forbids ECB as a mode).
   */
  #encryptBlocks(blocks: Buffer): Buffer {
    return createCipheriv('aes-256-ecb', this.#key, null).setAutoPadding(false).update(blocks);
  }
}

/** Doubling in GF(2^128), most significant bit first (NIST SP 800-38B 6.1, step 2). */
function doubled(block: Buffer): Buffer {
  const result = Buffer.alloc(BLOCK_BYTES);
  for (let i = 0; i < BLOCK_BYTES; i++) {
    result[i] = ((block[i] ?? 0) << 1) | ((block[i + 1] ?? 0) >> 7);
  }
  // A mask instead of a branch: K1 depends on the key, its timing must not.
  const carry = -((block[0] ?? 0) >> 7) & 0b1000_0111;
  result[BLOCK_BYTES - 1] = (result[BLOCK_BYTES - 1] ?? 0) ^ carry;
  return result;
}
