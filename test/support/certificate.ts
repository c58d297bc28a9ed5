import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { isIPv4 } from 'node:net';

/** A certificate with its key, both PEM. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

/** An authority that signs certificates for tests: X.509 by hand, since Node.js makes none and openssl may be absent. */
export interface TestAuthority {
  /** PEM of its own certificate. */
  readonly ca: string;
  /** For DNS names and IPv4 addresses. */
  issue(names: readonly string[], validity?: { readonly from: Date; readonly to: Date }): Certificate;
}

type Der = Buffer;

const ECDSA_SHA256 = sequence(oid(1, 2, 840, 10045, 4, 3, 2));
const DAY_MS = 86_400_000;

export function createTestAuthority(): TestAuthority {
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = nameOf(`Test authority ${randomBytes(4).toString('hex')}`);
  const lasting = { from: new Date(Date.now() - DAY_MS), to: new Date(Date.now() + DAY_MS) };
  // Basic constraints: is an authority. Key usage: signs certificates.
  const authorityExtensions = [
    extension([2, 5, 29, 19], sequence(der(0x01, [0xff])), true),
    extension([2, 5, 29, 15], der(0x03, [2, 0x04]), true),
  ];
  return {
    ca: pem(signed(authority.privateKey, issuer, issuer, authority.publicKey, lasting, authorityExtensions)),
    issue(names, validity = lasting) {
      const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const alternatives = names.map((name) =>
        isIPv4(name) ? der(0x87, name.split('.').map(Number)) : der(0x82, [...Buffer.from(name)]),
      );
      const extensions = [extension([2, 5, 29, 17], sequence(...alternatives), false)];
      const certificate = signed(
        authority.privateKey,
        issuer,
        nameOf(names[0] ?? ''),
        pair.publicKey,
        validity,
        extensions,
      );
      return {
        certificate: pem(certificate),
        key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      };
    },
  };
}

function signed(
  signer: KeyObject,
  issuer: Der,
  subject: Der,
  publicKey: KeyObject,
  validity: { readonly from: Date; readonly to: Date },
  extensions: readonly Der[],
): Der {
  const serial = der(0x02, [1, ...randomBytes(8)]);
  const body = sequence(
    ...[der(0xa0, der(0x02, [2])), serial, ECDSA_SHA256, issuer],
    ...[sequence(time(validity.from), time(validity.to)), subject],
    ...[publicKey.export({ type: 'spki', format: 'der' }), der(0xa3, sequence(...extensions))],
  );
  return sequence(body, ECDSA_SHA256, der(0x03, [0, ...sign('sha256', body, signer)]));
}

function nameOf(common: string): Der {
  return sequence(der(0x31, sequence(oid(2, 5, 4, 3), der(0x0c, [...Buffer.from(common)]))));
}

function extension(id: readonly [number, number, ...number[]], value: Der, critical: boolean): Der {
  return sequence(oid(...id), ...(critical ? [der(0x01, [0xff])] : []), der(0x04, value));
}

function time(date: Date): Der {
  const text = date
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replace(/[-:T]/g, '');
  return der(0x18, [...Buffer.from(text)]);
}

function oid(first: number, second: number, ...rest: number[]): Der {
  const base128 = (value: number): number[] =>
    value < 128 ? [value] : [...base128(value >> 7).map((byte) => byte | 0x80), value & 0x7f];
  return der(0x06, [first * 40 + second, ...rest.flatMap(base128)]);
}

function sequence(...parts: readonly Der[]): Der {
  return der(0x30, Buffer.concat(parts));
}

function der(tag: number, content: readonly number[] | Buffer): Der {
  const bytes = Buffer.from(content);
  const { length } = bytes;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), bytes]);
}

function pem(certificate: Der): string {
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
