import type { INestApplication } from '@nestjs/common';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { CrossSiteRefusal, nameCrossSiteRefusals } from '../../src/http/cross-site-refusal.js';
import { StandingFields } from '../../src/http/standing-fields.js';

type Check = (request: object, response: object) => unknown;

/** What an adapter is given to ask for each request, where Nest would ask `check`. */
function registeredFor(check: Check): Check {
  let registered: Check = () => undefined;
  const adapter = {
    registerSecurityHook(given: Check): void {
      registered = given;
    },
  };
  const app = { getHttpAdapter: () => adapter } as unknown as INestApplication;
  nameCrossSiteRefusals(app, () => {
    adapter.registerSecurityHook(check);
  });
  return registered;
}

function answer(isBearing: boolean): ServerResponse {
  const response = new ServerResponse(new IncomingMessage(new Socket()));
  if (isBearing) new StandingFields([['X-Frame-Options', 'DENY']]).putOn(response, 'id');
  return response;
}

const requestOf = (method: string): object => ({ method, headers: { 'sec-fetch-site': 'cross-site' } });

describe('reads that another site makes a browser send', () => {
  test('are let pass without a question where Nest lets them pass from anywhere, and nothing else is', () => {
    const asked: string[] = [];
    const registered = registeredFor((request) => {
      const { method } = request as { method: string };
      asked.push(method);
      return ['GET', 'HEAD', 'OPTIONS'].includes(method) ? undefined : new Error('refused');
    });
    asked.length = 0;
    const outcomes = ['GET', 'HEAD', 'OPTIONS', 'POST', 'get', 'PURGE'].map((method) =>
      registered(requestOf(method), answer(true)),
    );
    expect(outcomes.map((each) => each instanceof CrossSiteRefusal)).toEqual([
      ...[false, false, false],
      ...[true, true, true],
    ]);
    expect(asked).toEqual(['OPTIONS', 'POST', 'get', 'PURGE']);
  });

  test('are refused where Nest refuses one of them', () => {
    const registered = registeredFor((request) =>
      (request as { method: string }).method === 'HEAD' ? undefined : new Error('refused'),
    );
    expect(registered(requestOf('GET'), answer(true))).toBeInstanceOf(CrossSiteRefusal);
    expect(registered(requestOf('HEAD'), answer(true))).toBeUndefined();
  });

  test('are asked about where the answer does not bear the fields yet that Nest sets with its check', () => {
    const registered = registeredFor((_request, response) => {
      (response as ServerResponse).setHeader('X-Frame-Options', 'DENY');
      return undefined;
    });
    const response = answer(false);
    registered(requestOf('GET'), response);
    expect(response.getHeaderNames()).toEqual(['x-frame-options']);
  });
});
