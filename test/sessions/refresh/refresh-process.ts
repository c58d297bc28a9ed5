import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { SessionsOptions } from '../../../src/sessions/sessions.options.js';
import type { TestDatabase } from '../../support/database.js';
import { ISSUER, MASTER_KEY } from '../sessions-application.js';

const SERVER = fileURLToPath(new URL('./refresh-server.mjs', import.meta.url));

/** A replica in a process of its own. */
export class RefreshProcess {
  private constructor(
    private readonly child: ChildProcess,
    readonly port: number,
  ) {}

  static async start(
    { appUrl, auditUrl }: Pick<TestDatabase, 'appUrl' | 'auditUrl'>,
    options: Partial<SessionsOptions> = {},
  ): Promise<RefreshProcess> {
    const sessions = { issuer: ISSUER, audience: ISSUER, ...options };
    const given = JSON.stringify({ appUrl, auditUrl, masterKey: MASTER_KEY, sessions });
    const child = spawn(process.execPath, [SERVER], {
      env: { PATH: process.env['PATH'], NODE_ENV: 'test', REFRESH_SERVER: given },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let errors = '';
    child.stderr!.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    const gone = once(child, 'exit').then(() => {
      throw new Error(`the replica ended before it listened:\n${errors}`);
    });
    const [message] = (await Promise.race([once(child, 'message'), gone])) as [{ port: number }];
    gone.catch(() => undefined);
    return new RefreshProcess(child, message.port);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get gone(): boolean {
    return this.child.signalCode !== null || this.child.exitCode !== null;
  }

  /** The next rotation is committed and never answered: the process kills itself in between. */
  dieAtNextRotation(): void {
    this.child.send('die');
  }

  async kill(): Promise<void> {
    if (this.gone) return;
    const exited = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await exited;
  }
}

/** A request on a socket of its own, whole but for its last byte. */
export class HeldRequest {
  readonly #answer: Promise<string>;

  private constructor(
    private readonly socket: Socket,
    private readonly last: Buffer,
  ) {
    this.#answer = new Promise((resolve, reject) => {
      let text = '';
      socket.on('data', (chunk) => (text += chunk.toString('latin1')));
      socket.once('end', () => {
        resolve(text);
      });
      socket.once('error', reject);
    });
  }

  static async hold(port: number, path: string, body: string): Promise<HeldRequest> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    await once(socket, 'connect');
    const bytes = Buffer.from(
      `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    );
    const held = new HeldRequest(socket, bytes.subarray(-1));
    await new Promise<void>((resolve) => {
      socket.write(bytes.subarray(0, -1), () => {
        resolve();
      });
    });
    return held;
  }

  release(): void {
    this.socket.write(this.last);
  }

  async answer(): Promise<{ status: number; body: Record<string, unknown> }> {
    const text = await this.#answer;
    const [head = '', body = ''] = text.split('\r\n\r\n');
    const json = body.slice(body.indexOf('{'), body.lastIndexOf('}') + 1);
    return { status: Number(head.split(' ')[1]), body: JSON.parse(json) as Record<string, unknown> };
  }
}
