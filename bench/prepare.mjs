// What every run begins with: the build, a database with live sessions, and a core for the servers.
import { randomBytes } from 'node:crypto';
import { build } from './build.mjs';
import { prepareDatabase } from './database.mjs';
import { pinLoadGenerator } from './server-process.mjs';
import { Tokens } from './tokens.mjs';

export const LIVE_SESSIONS = 1000;

/** @returns what the servers of these cases need, whether cores were chosen, and how to end it all. */
export async function prepare(cases, progress) {
  progress('building');
  build();

  const pinned = pinLoadGenerator();
  const { stop, users, ...urls } = await prepareDatabase(LIVE_SESSIONS, progress);
  try {
    const settings = {
      ...urls,
      secret: randomBytes(32).toString('base64url'),
      masterKey: randomBytes(32).toString('base64'),
      sessions: LIVE_SESSIONS,
    };
    progress(`opening ${LIVE_SESSIONS} sessions`);
    const needsKit = cases.some((each) => each.tokens !== 'shared-secret');
    const tokens = await Tokens.prepare(settings, users, needsKit);
    const close = async () => {
      await tokens.stop();
      await stop();
    };
    return { settings, tokens, pinned, close };
  } catch (error) {
    await stop();
    throw error;
  }
}
