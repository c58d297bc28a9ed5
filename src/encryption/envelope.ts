import { randomBytes } from 'node:crypto';
import { XAES_NONCE_BYTES, XAES_TAG_BYTES, type XaesKey } from './xaes.js';

/** A key with the number by which an envelope names it. */
export interface EnvelopeKey {
  readonly shortId: number;
  readonly xaes: XaesKey;
}

const VERSION = 0x01;
const NONCE_START = 5;
const SEALED_START = NONCE_START + XAES_NONCE_BYTES;

/** version ‖ short id ‖ nonce ‖ tag: what an envelope adds to its content. */
export const ENVELOPE_OVERHEAD_BYTES = SEALED_START + XAES_TAG_BYTES;

/**
 * Seals as `0x01 ‖ short id (4, big-endian) ‖ nonce (24) ‖ ciphertext ‖ tag (16)`, bound to an address, with a
 * nonce drawn for this call alone (ASVS 11.3.4).
 */
export function sealEnvelope(key: EnvelopeKey, address: string, content: Buffer): Buffer {
  const header = Buffer.alloc(NONCE_START);
  header.writeUInt8(VERSION, 0);
  header.writeInt32BE(key.shortId, 1);
  const nonce = randomBytes(XAES_NONCE_BYTES);
  return Buffer.concat([header, nonce, key.xaes.seal(nonce, content, additionalDataOf(address, header))]);
}

/** The short id of the key that sealed it, or undefined when it is no envelope of this version. */
export function shortIdOf(envelope: Buffer): number | undefined {
  if (envelope.length < ENVELOPE_OVERHEAD_BYTES || envelope[0] !== VERSION) return undefined;
  return envelope.readInt32BE(1);
}

/** @returns the content, or undefined when the envelope was altered, or belongs to another key or address. */
export function openEnvelope(key: EnvelopeKey, address: string, envelope: Buffer): Buffer | undefined {
  if (shortIdOf(envelope) !== key.shortId) return undefined;
  const nonce = envelope.subarray(NONCE_START, SEALED_START);
  return key.xaes.open(nonce, envelope.subarray(SEALED_START), additionalDataOf(address, envelope));
}

/** `"zt1\0" address "\0" short id`. The version has no place of its own in it: `zt1` is version 1. */
function additionalDataOf(address: string, envelope: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`zt1\0${address}\0`, 'utf8'), envelope.subarray(1, NONCE_START)]);
}
