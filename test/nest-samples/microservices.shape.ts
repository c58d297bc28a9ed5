import { Controller, Get, Headers, Injectable, Module, type OnApplicationShutdown } from '@nestjs/common';
import {
  ClientProxyFactory,
  MessagePattern,
  Payload,
  Transport,
  type ClientProxy,
  type MicroserviceOptions,
} from '@nestjs/microservices';
import type { AddressInfo, Server } from 'node:net';
import { lastValueFrom } from 'rxjs';
import { ADAPTERS } from '../support/hostile.application.js';
import type { Built, Shape } from './shape.js';

interface Numbers {
  readonly numbers: readonly number[];
}

function build(): Built {
  let port = 0;

  @Injectable()
  class MathClient implements OnApplicationShutdown {
    #client: ClientProxy | undefined;

    sum(numbers: readonly number[], proof: string | undefined): Promise<number> {
      this.#client ??= ClientProxyFactory.create({
        transport: Transport.TCP,
        options: { host: '127.0.0.1', port },
      });
      return lastValueFrom(this.#client.send<number>({ cmd: 'sum' }, { numbers, proof }));
    }

    onApplicationShutdown(): void {
      this.#client?.close();
    }
  }

  @Controller()
  class MathController {
    constructor(private readonly client: MathClient) {}

    @Get('math')
    execute(@Headers('authorization') proof?: string): Promise<number> {
      // It passes on who is asking.
      return this.client.sum([1, 2, 3, 4, 5], proof);
    }

    @MessagePattern({ cmd: 'sum' })
    sum(@Payload() { numbers }: Numbers): number {
      return numbers.reduce((total, each) => total + each, 0);
    }

    @MessagePattern(['now', 'time'])
    now(): number {
      return 0;
    }
  }

  @Module({ controllers: [MathController], providers: [MathClient] })
  class MathModule {}
  return {
    module: MathModule,
    classes: [MathController],
    rpcPort: () => port,
    async configure(app) {
      const service = app.connectMicroservice<MicroserviceOptions>({
        transport: Transport.TCP,
        options: { host: '127.0.0.1', port: 0 },
      });
      await app.startAllMicroservices();
      port = (service.unwrap<Server>().address() as AddressInfo).port;
    },
  };
}

export const microservicesShape: Shape = {
  name: '03-microservices, hybrid over TCP',
  adapters: ADAPTERS,
  build,
  ways: [
    'MathController.execute (http GET /math)',
    'MathController.sum (rpc MESSAGE {"cmd":"sum"})',
    'MathController.now (rpc MESSAGE now)',
    'MathController.now (rpc MESSAGE time)',
  ],
  requests: { 'MathController.sum': { data: { numbers: [1, 2] } } },
};
