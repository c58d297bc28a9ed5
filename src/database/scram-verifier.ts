import { createHash, createHmac, pbkdf2 as pbkdf2Callback, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

const pbkdf2 = promisify(pbkdf2Callback);

/** PostgreSQL's own default (RFC 7677 asks for 4096 at least). */
const ITERATIONS = 4096;

/**
 * What PostgreSQL stores for a SCRAM-SHA-256 password (RFC 5803). Made here, so that the password itself reaches
 * neither the server's log nor its statement statistics.
 *
 * @throws TypeError when the password is not printable ASCII: clients normalise other characters differently.
 */
export async function scramVerifier(password: string, salt = randomBytes(16)): Promise<string> {
  if (!/^[\x21-\x7e]+$/.test(password)) {
    throw new TypeError('holds a password that is not printable ASCII without spaces; choose another');
  }
  const salted = await pbkdf2(password, salt, ITERATIONS, 32, 'sha256');
  const hmac = (text: string): Buffer => createHmac('sha256', salted).update(text).digest();
  const storedKey = createHash('sha256').update(hmac('Client Key')).digest('base64');
  const serverKey = hmac('Server Key').toString('base64');
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}
