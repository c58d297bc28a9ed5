import { Module, type INestApplication } from '@nestjs/common';
import { WsAdapter } from '@nestjs/platform-ws';
import { Test } from '@nestjs/testing';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { RequirePermission, secureApplication } from 'nestjs-zero-trust';
import { actingAs, ZeroTrustTestingModule, type ActingHeaders } from 'nestjs-zero-trust/testing';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { permissions, roles } from './chapter.module.js';

@WebSocketGateway()
class DocumentsGateway {
  @SubscribeMessage('documents')
  @RequirePermission('documents:read')
  list(): object {
    return { event: 'documents', data: [] };
  }
}

@Module({ providers: [DocumentsGateway] })
class SocketsModule {}

let app: INestApplication;
let url: string;
beforeAll(async () => {
  const builder = Test.createTestingModule({
    imports: [ZeroTrustTestingModule.forRoot({ permissions, roles }), SocketsModule],
  });
  app = (await builder.compile()).createNestApplication();
  app.useWebSocketAdapter(new WsAdapter(app));
  await secureApplication(app);
  await app.listen(0, '127.0.0.1');
  url = (await app.getUrl()).replace('http', 'ws');
});
afterAll(() => app.close());

const say = async (headers: ActingHeaders): Promise<unknown> => {
  const socket = new WebSocket(url, { headers });
  try {
    await once(socket, 'open');
    socket.send(JSON.stringify({ event: 'documents' }));
    const [answer] = (await once(socket, 'message')) as [Buffer];
    return JSON.parse(answer.toString());
  } finally {
    socket.terminate();
  }
};

test('RBAC-10 each message of a socket is judged by what its opener holds', async () => {
  expect(await say(actingAs({ roles: ['viewer'] }))).toEqual({ event: 'documents', data: [] });
  expect(await say(actingAs())).toEqual({
    event: 'exception',
    data: { code: 'permission-denied', status: 403 },
  });
});
