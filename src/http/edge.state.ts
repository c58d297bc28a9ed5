import { Injectable, type INestApplication, type OnApplicationBootstrap } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
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

  constructor(private readonly host: HttpAdapterHost) {}

  markSecured(app: INestApplication): void {
    if (this.#secured) throw new TypeError('secureApplication() was called twice.');
    this.#secured = app;
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
    const { config } = this.#secured as unknown as Configured;
    if (config?.getGlobalPipes().some(isLoosening)) {
      throw new BootError('HttpModule', [
        'the application has a global ValidationPipe of its own: remove it, every input is validated already',
      ]);
    }
  }
}
