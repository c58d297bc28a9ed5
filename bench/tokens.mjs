// What the callers of the servers send: tokens as headers, renewed before they run out.
import { SignJWT } from 'jose';
import { ServerProcess } from './server-process.mjs';

/** Tokens of the kit live 15 minutes; these are renewed long before. */
const RENEW_AFTER_MS = 8 * 60_000;

const bearer = (token) => ({ authorization: `Bearer ${token}` });
const cookie = (token) => ({ cookie: `__Host-access=${token}` });

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
    tokens: (await Promise.all(ids.map((id) => sign(id, ['reader'])))).map(bearer),
    stranger: bearer(await sign(stranger, ['writer'])),
  };
}

export class Tokens {
  #sharedSecret;
  #seed;
  #kit = new Map();

  static async prepare(settings, users, needsKit) {
    const tokens = new Tokens();
    tokens.#sharedSecret = await sharedSecretTokens(users, settings.secret);
    const { ids: subjects, stranger } = users;
    if (needsKit) tokens.#seed = await ServerProcess.start('seed', { ...settings, subjects, stranger });
    return tokens;
  }

  async of(kind) {
    if (kind === 'shared-secret') return this.#sharedSecret;
    const known = this.#kit.get(kind);
    if (known && Date.now() - known.openedAtMs < RENEW_AFTER_MS) return known.credentials;
    const headers = kind === 'kit-cookie' ? cookie : bearer;
    const opened = await this.#seed.ask(kind === 'kit-cookie' ? 'openCookies' : 'open');
    const credentials = { tokens: opened.tokens.map(headers), stranger: headers(opened.stranger) };
    this.#kit.set(kind, { credentials, openedAtMs: Date.now() });
    return credentials;
  }

  async stop() {
    await this.#seed?.stop();
  }
}
