import { requestOf, sendRaw, type RawAnswer } from '../http/raw-client.js';

/** Header fields that a browser sends with a request that the service's own page makes. */
export const OWN_PAGE: readonly string[] = ['Origin: http://localhost', 'Sec-Fetch-Site: same-origin'];

/** Keeps cookies as a browser does, and sends exactly what a test says: no client mends it on the way. */
export class Visitor {
  readonly cookies = new Map<string, string>();

  constructor(private readonly port: number) {}

  /** As the service's own page would ask. */
  own(line: string, body?: unknown): Promise<RawAnswer> {
    return this.send(line, [...OWN_PAGE, ...(body === undefined ? [] : JSON_BODY)], body);
  }

  /** @param body goes out as it is when it is text, else as JSON; `Content-Length` is added, no type. */
  async send(line: string, fields: readonly string[], body?: unknown): Promise<RawAnswer> {
    const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const { answers } = await sendRaw(
      this.port,
      requestOf(
        line,
        [
          ...(cookie === '' ? [] : [`Cookie: ${cookie}`]),
          ...fields,
          ...(/^(GET|HEAD|TRACE)\b/.test(line) && text === ''
            ? []
            : [`Content-Length: ${Buffer.byteLength(text)}`]),
        ],
        text,
      ),
      { head: line.startsWith('HEAD') },
    );
    const [answer] = answers;
    if (!answer) throw new Error(`no answer to ${line}`);
    this.#keep(answer);
    return answer;
  }

  /** Somebody else with the same cookies. */
  copy(): Visitor {
    const copy = new Visitor(this.port);
    for (const [name, value] of this.cookies) copy.cookies.set(name, value);
    return copy;
  }

  #keep({ headers }: RawAnswer): void {
    for (const line of headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (/;\s*Max-Age=0\b/i.test(line)) this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
  }
}

const JSON_BODY: readonly string[] = ['Content-Type: application/json'];
