// Bearer tokens for the servers, renewed before they run out.
import { SignJWT } from 'jose';
import { ServerProcess } from './server-process.mjs';

/** Tokens of the kit live 15 minutes; these are renewed long before. */
const RENEW_AFTER_MS = 8 * 60_000;

/** Tokens of the peers: HS256, with the subject and its roles, as the documentation signs them. */
async function sharedSecretTokens({ ids, stranger }, secret) {
  const key = new TextEncoder().encode(secret);
  const sign = (sub, roles) =>
    new SignJWT({ roles })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setSubject(sub)
      .setIssuedAt()
      .setExpirationTime('24h')
      .sign(key);
  return {
    tokens: await Promise.all(ids.map((id) => sign(id, ['reader']))),
    stranger: await sign(stranger, ['writer']),
  };
}

export class Tokens {
  #sharedSecret;
  #seed;
  #kit;
  #openedAtMs = 0;

  static async prepare(settings, users, needsKit) {
    const tokens = new Tokens();
    tokens.#sharedSecret = await sharedSecretTokens(users, settings.secret);
    if (needsKit) tokens.#seed = await ServerProcess.start('seed', settings);
    return tokens;
  }

  async of(kind) {
    if (kind === 'shared-secret') return this.#sharedSecret;
    if (Date.now() - this.#openedAtMs > RENEW_AFTER_MS) {
      this.#kit = await this.#seed.ask('open');
      this.#openedAtMs = Date.now();
    }
    return this.#kit;
  }

  async stop() {
    await this.#seed?.stop();
  }
}
