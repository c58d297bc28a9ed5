import { Injectable, type INestApplication, type OnApplicationBootstrap } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { onAdapterReady } from '../core/adapter-ready.js';
import { BootError } from '../core/zero-trust-error.js';
import { isLoosening } from './validation.check.js';

/** What Nest keeps of `useGlobalPipes` and `APP_PIPE`. */
interface Configured {
  readonly config?: { getGlobalPipes(): readonly unknown[] };
}

/** Whether `secureApplication` was called: an application without it would serve without headers, limits and shapes. */
@Injectable()
export class EdgeState implements OnApplicationBootstrap {
  #secured: INestApplication | undefined;
  #corsExpected = 0;
  #corsEnabled = 0;

  constructor(private readonly host: HttpAdapterHost) {
    onAdapterReady(host, (adapter) => {
      const enableCors = adapter.enableCors.bind(adapter) as (...given: unknown[]) => unknown;
      adapter.enableCors = (...given: unknown[]) => {
        this.#corsEnabled += 1;
        // At once where it is known: Fastify fails on a second one in words of its own.
        if (this.#secured) this.#assertCors();
        return enableCors(...given);
      };
    });
  }

  /** @param cors whether origins are allowed by the options */
  markSecured(app: INestApplication, cors: boolean): void {
    if (this.#secured) throw new TypeError('secureApplication() was called twice.');
    this.#secured = app;
    this.#corsExpected = cors ? 1 : 0;
  }

  onApplicationBootstrap(): void {
    // A context without HTTP (a worker, the command line) has no edge to secure.
    const adapter = this.host.httpAdapter as HttpAdapterHost['httpAdapter'] | undefined;
    if (!adapter) return;
    if (!this.#secured) {
      throw new BootError('HttpModule', [
        'secureApplication was not called: write `await secureApplication(app)` between NestFactory.create and app.listen',
      ]);
    }
    this.#assertCors();
    const { config } = this.#secured as unknown as Configured;
    if (config?.getGlobalPipes().some(isLoosening)) {
      throw new BootError('HttpModule', [
        'the application has a global ValidationPipe of its own: remove it, every input is validated already',
      ]);
    }
  }

  /** What is allowed beside the options a browser believes too: any origin, say, with cookies (ASVS 3.4.2). */
  #assertCors(): void {
    if (this.#corsEnabled <= this.#corsExpected) return;
    throw new BootError('HttpModule', [
      'the application enables CORS itself: remove app.enableCors and the option cors, and name each origin in corsOrigins',
    ]);
  }
}
