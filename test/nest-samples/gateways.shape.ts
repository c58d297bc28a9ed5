import { Controller, Get, Module } from '@nestjs/common';
import { WsAdapter } from '@nestjs/platform-ws';
import {
  MessageBody,
  SubscribeMessage,
  WebSocketGateway,
  type OnGatewayConnection,
  type WsResponse,
} from '@nestjs/websockets';
import { from, map, type Observable } from 'rxjs';
import { ADAPTERS } from '../support/hostile.application.js';
import type { Built, Shape } from './shape.js';

function build(): Built {
  /** Nobody hears of its sockets but by messages. */
  @WebSocketGateway({ path: '/events' })
  class EventsGateway {
    @SubscribeMessage('events')
    findAll(): Observable<WsResponse<number>> {
      return from([1, 2, 3]).pipe(map((data) => ({ event: 'events', data })));
    }

    @SubscribeMessage('identity')
    identity(@MessageBody() data: unknown): WsResponse<unknown> {
      return { event: 'identity', data };
    }
  }

  @WebSocketGateway({ path: '/chat' })
  class ChatGateway implements OnGatewayConnection {
    #present = 0;

    handleConnection(): void {
      this.#present += 1;
    }

    @SubscribeMessage('events')
    say(): WsResponse<number> {
      return { event: 'present', data: this.#present };
    }
  }

  @Controller()
  class AppController {
    @Get()
    page(): string {
      return '<script>new WebSocket(location.host)</script>';
    }
  }

  @Module({ controllers: [AppController], providers: [EventsGateway, ChatGateway] })
  class AppModule {}
  return {
    module: AppModule,
    classes: [AppController, EventsGateway, ChatGateway],
    configure: (app) => app.useWebSocketAdapter(new WsAdapter(app)),
  };
}

export const gatewaysShape: Shape = {
  proves: 'RBAC-10',
  name: '02-gateways, on the adapter for ws',
  adapters: ADAPTERS,
  build,
  ways: [
    'AppController.page (http GET /)',
    'EventsGateway.findAll (ws MESSAGE /events events)',
    'EventsGateway.identity (ws MESSAGE /events identity)',
    'ChatGateway.say (ws MESSAGE /chat events)',
    'ChatGateway.handleConnection (ws CONNECT /chat)',
  ],
};
