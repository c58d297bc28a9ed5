// One measurement: a fixed number of requests, and the CPU that the server used for them.
import { sendRequests } from './load-generator.mjs';

/** A server that lets the wrong people in, or the right ones not, is not worth measuring. */
export async function assertServes(server, { tokens, stranger }, guarded) {
  const status = async (headers = {}) => {
    const response = await fetch(server.url, { headers });
    await response.arrayBuffer();
    return response.status;
  };
  const found = [await status(tokens[0]), await status(undefined), await status(stranger)];
  const expected = guarded ? [200, 401, 403] : [200, 200, 200];
  if (!guarded) found.splice(1);
  if (found.some((each, at) => each !== expected[at])) {
    throw new Error(
      `${server.url} answers ${found.join(', ')} and not ${expected.join(', ')} to: with a token, without, with a token that may not`,
    );
  }
}

/**
 * Keeps this process from falling asleep. On the loopback interface it is the sender who pays for waking the receiver:
 * the slower a server, the more often its client sleeps, and the more each answer would cost it (4 µs here).
 */
function stayAwake() {
  let awake = true;
  const turn = () => awake && setImmediate(turn);
  turn();
  return () => (awake = false);
}

/** Sends `amount` requests, each connection with its own share of the tokens, in turn. */
export async function load(url, { tokens }, options) {
  const fallAsleep = stayAwake();
  try {
    return await sendRequests(url, tokens, options);
  } finally {
    fallAsleep();
  }
}

export async function measure(server, tokens, options) {
  const before = await server.cpuMicroseconds();
  const result = await load(server.url, tokens, options);
  const used = (await server.cpuMicroseconds()) - before;
  return {
    requestsPerSecond: result.requests / result.seconds,
    p99Ms: result.p99Ms,
    cpuMicroseconds: used / result.requests,
    serverBusy: used / 1e6 / result.seconds,
  };
}
