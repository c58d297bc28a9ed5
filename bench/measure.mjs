// One measurement: a fixed number of requests, and the CPU that the server used for them.
import autocannon from 'autocannon';

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
export async function load(url, credentials, options) {
  const fallAsleep = stayAwake();
  try {
    return await send(url, credentials, options);
  } finally {
    fallAsleep();
  }
}

async function send(url, { tokens }, { connections, amount, duration }) {
  const share = Math.ceil(tokens.length / connections);
  let connection = 0;
  const started = process.hrtime.bigint();
  const result = await autocannon({
    url,
    timeout: 30,
    connections,
    ...(amount === undefined ? { duration } : { amount }),
    setupClient: (client) => {
      const first = (connection * share) % tokens.length;
      connection += 1;
      client.setRequests(tokens.slice(first, first + share).map((headers) => ({ method: 'GET', headers })));
    },
  });
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  const failed = result.non2xx + result.errors + result.timeouts;
  if (failed > 0) throw new Error(`${failed} of ${result.requests.total} requests to ${url} failed`);
  return { requests: result['2xx'], seconds, p99Ms: result.latency.p99 };
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
