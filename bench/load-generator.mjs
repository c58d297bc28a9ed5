// Sends requests over kept-alive connections, one at a time on each, as fast as they are answered. Written by hand because
// the load must cost less than what it measures: parsers in JavaScript (autocannon) take longer for an answer with twenty
// fields than the server for all of it, and the rate would be theirs.
import { once } from 'node:events';
import { connect } from 'node:net';

const HEAD_ENDS = Buffer.from('\r\n\r\n');
const OK = Buffer.from('HTTP/1.1 200 ');

/** One connection, with its own share of the requests, in turn. */
class Caller {
  #socket;
  #requests;
  #next = 0;
  #sentAt = 0;
  #rest;
  #isOver = false;
  #end;
  #onAnswer;

  constructor({ hostname, port }, requests, onAnswer) {
    this.#requests = requests;
    this.#onAnswer = onAnswer;
    this.#socket = connect({ host: hostname, port: Number(port), noDelay: true });
  }

  /** Until `onAnswer` says that it is enough. @throws Error when an answer is not a 200, or when the server goes away */
  async run() {
    await once(this.#socket, 'connect');
    await new Promise((resolve, reject) => {
      this.#end = resolve;
      this.#socket.on('data', (chunk) => {
        try {
          this.#read(chunk);
        } catch (error) {
          reject(error);
        }
      });
      this.#socket.on('error', reject);
      this.#socket.on('close', () => {
        if (!this.#isOver) reject(new Error('the server closed a connection'));
      });
      this.#send();
    });
  }

  close() {
    this.#isOver = true;
    this.#socket.destroy();
  }

  #send() {
    this.#sentAt = performance.now();
    this.#socket.write(this.#requests[this.#next]);
    this.#next = (this.#next + 1) % this.#requests.length;
  }

  #read(chunk) {
    const answer = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk;
    this.#rest = answer;
    if (answer.length < OK.length) return;
    if (answer.compare(OK, 0, OK.length, 0, OK.length) !== 0)
      throw new Error(`a request failed: ${answer.toString('latin1').split('\r\n', 1)}`);
    const headEnds = answer.indexOf(HEAD_ENDS);
    if (headEnds < 0) return;
    const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(answer.latin1Slice(0, headEnds + 2))?.[1];
    if (length === undefined) throw new Error('an answer does not say how long it is');
    const missing = headEnds + HEAD_ENDS.length + Number(length) - answer.length;
    if (missing > 0) return;
    if (missing < 0) throw new Error('the server answered what nobody asked');
    this.#rest = undefined;
    if (this.#onAnswer(performance.now() - this.#sentAt)) this.#send();
    else this.#end();
  }
}

/**
 * @param headers one set of header fields a request; each connection has its own share of them
 * @param amount requests that are sent; or `duration`, seconds
 */
export async function sendRequests(url, headers, { connections, amount = Infinity, duration = Infinity }) {
  const target = new URL(url);
  const requests = headers.map((fields) =>
    Buffer.from(
      [
        `GET ${target.pathname} HTTP/1.1`,
        `Host: ${target.host}`,
        ...Object.entries(fields).map(([name, value]) => `${name}: ${value}`),
        '\r\n',
      ].join('\r\n'),
    ),
  );
  const share = Math.ceil(requests.length / connections);
  const times = [];
  const startedAt = performance.now();
  const endsAt = startedAt + duration * 1000;
  let sent = connections;
  const onAnswer = (milliseconds) => {
    times.push(milliseconds);
    if (sent >= amount || performance.now() >= endsAt) return false;
    sent += 1;
    return true;
  };
  const callers = Array.from({ length: connections }, (_, at) => {
    const first = (at * share) % requests.length;
    return new Caller(target, requests.slice(first, first + share), onAnswer);
  });
  try {
    await Promise.all(callers.map((caller) => caller.run()));
  } finally {
    for (const caller of callers) caller.close();
  }
  const seconds = (performance.now() - startedAt) / 1000;
  times.sort((a, b) => a - b);
  return { requests: times.length, seconds, p99Ms: times[Math.floor(times.length * 0.99)] };
}
