import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { BootError } from '../core/zero-trust-error.js';

/** Whether `secureApplication` was called: an application without it would serve without headers, limits and shapes. */
@Injectable()
export class EdgeState implements OnApplicationBootstrap {
  #secured = false;

  constructor(private readonly host: HttpAdapterHost) {}

  markSecured(): void {
    if (this.#secured) throw new TypeError('secureApplication() was called twice.');
    this.#secured = true;
  }

  onApplicationBootstrap(): void {
    // A context without HTTP (a worker, the command line) has no edge to secure.
    const adapter = this.host.httpAdapter as HttpAdapterHost['httpAdapter'] | undefined;
    if (this.#secured || !adapter) return;
    throw new BootError('HttpModule', [
      'secureApplication was not called: write `await secureApplication(app)` between NestFactory.create and app.listen',
    ]);
  }
}
