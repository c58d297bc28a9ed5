import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { createServer } from 'node:http';
import { describe, expect, test } from 'vitest';
import { secureApplication } from '../../src/http/secure-application.js';
import { assertStrictParser } from '../../src/http/strict-parser.js';
import { edgeModule } from './edge.application.js';

const REFUSAL = 'HttpModule refuses to start: the insecure HTTP parser of Node.js is on';

describe('NET-02 the insecure HTTP parser of Node.js', () => {
  test('NET-02 on the server of an adapter stops the start', async () => {
    const compiled = await Test.createTestingModule({ imports: [edgeModule({})] }).compile();
    const adapter = new FastifyAdapter({ http: { insecureHTTPParser: true } });
    const app = compiled.createNestApplication(adapter, { logger: false });
    try {
      await expect(secureApplication(app)).rejects.toThrow(REFUSAL);
    } finally {
      await app.close();
    }
  });

  test('NET-02 on the command line or in NODE_OPTIONS stops the start', () => {
    const server = createServer();
    const before = process.env.NODE_OPTIONS;
    expect(() => {
      assertStrictParser(server, ['--enable-source-maps', '--insecure-http-parser']);
    }).toThrow(REFUSAL);
    process.env.NODE_OPTIONS = '--enable-source-maps  --insecure-http-parser';
    try {
      expect(() => {
        assertStrictParser(server);
      }).toThrow(REFUSAL);
    } finally {
      if (before === undefined) delete process.env.NODE_OPTIONS;
      else process.env.NODE_OPTIONS = before;
    }
    assertStrictParser(server);
  });
});
