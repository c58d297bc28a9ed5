import { Controller, Get, Module, type ExecutionContext } from '@nestjs/common';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ADMINISTRATIVE_CHANGE,
  ASSURANCE_LEVELS,
  insufficientAssurance,
  meetsAssurance,
  type AssuranceDemand,
} from '../../src/core/assurance.js';
import { Authenticator } from '../../src/core/authenticator.js';
import { Clock } from '../../src/core/clock.js';
import { PASSED, Pipeline } from '../../src/core/pipeline.js';
import { PipelineModule } from '../../src/core/pipeline.module.js';
import type { Principal } from '../../src/core/principal.js';
import { Authenticated, policyOf, Public, RequireAssurance } from '../../src/core/route-policy.js';
import { HttpModule } from '../../src/http/http.module.js';
import { ADAPTERS, startApplication } from '../support/application.js';

const NOW = 1_800_000_000;

describe('what an authentication is worth', () => {
  const account = (acr: string, authTime: number): Principal => ({
    kind: 'account',
    subject: 'a',
    acr,
    authTime,
  });

  test('a level that is at least as high and as young as demanded is enough, and nothing else', () => {
    const level = fc.constantFrom(...ASSURANCE_LEVELS);
    fc.assert(
      fc.property(
        level,
        level,
        fc.integer({ min: -30, max: 2000 }),
        fc.option(fc.integer({ min: 1, max: 1000 }), { nil: undefined }),
        (held, demanded, age, maxAgeSeconds) => {
          const demand: AssuranceDemand =
            maxAgeSeconds === undefined ? { acr: demanded } : { acr: demanded, maxAgeSeconds };
          const expected = held >= demanded && (maxAgeSeconds === undefined || age <= maxAgeSeconds);
          expect(meetsAssurance(account(held, NOW - age), demand, NOW)).toBe(expected);
        },
      ),
    );
  });

  test.each<[string, Principal | undefined]>([
    ['nobody', undefined],
    ['a principal without a level', { kind: 'account', subject: 'a', authTime: NOW }],
    ['a level that nobody knows', account('aal9', NOW)],
    ['a level in another spelling', account('AAL2', NOW)],
    ['no time of authentication', { kind: 'account', subject: 'a', acr: 'aal3' }],
    ['a time far in the future', account('aal3', NOW + 61)],
    ['a time that is no number', account('aal3', Number.NaN)],
  ])('%s is not enough', (_name, principal) => {
    expect(meetsAssurance(principal, { acr: 'aal1', maxAgeSeconds: 300 }, NOW)).toBe(false);
  });
});

describe('a demand', () => {
  test('for a level that nobody knows is met by nobody', () => {
    const sure: Principal = { kind: 'account', subject: 'a', acr: 'aal3', authTime: NOW };
    for (const acr of ['aal0', 'aal9', '', undefined]) {
      const demand = { acr } as unknown as AssuranceDemand;
      expect(meetsAssurance(sure, demand, NOW)).toBe(false);
      expect(meetsAssurance({ kind: 'account', subject: 'a' }, demand, NOW)).toBe(false);
    }
  });

  test('bears with clocks that differ by a minute, and by no second more', () => {
    const authenticated = (authTime: number): boolean =>
      meetsAssurance(
        { kind: 'account', subject: 'a', acr: 'aal2', authTime },
        { acr: 'aal2', maxAgeSeconds: 1 },
        NOW,
      );
    expect([NOW - 2, NOW - 1, NOW, NOW + 60, NOW + 61].map(authenticated)).toEqual([
      ...[false, true, true, true, false],
    ]);
  });

  test('without an age asks for none in its challenge', () => {
    const { code, detail, headers } = insufficientAssurance({ acr: 'aal3' });
    expect([code, detail]).toEqual([
      'insufficient-authentication',
      'the authentication is too weak or too old',
    ]);
    expect(headers).toEqual({
      'WWW-Authenticate': 'Bearer error="insufficient_user_authentication", acr_values="aal3"',
    });
  });

  test('V8.4.2 for a change of rights or accounts is a second factor of the last ten minutes', () => {
    expect(ADMINISTRATIVE_CHANGE).toEqual({ acr: 'aal2', maxAgeSeconds: 600 });
    expect(Object.isFrozen(ADMINISTRATIVE_CHANGE)).toBe(true);
  });
});

describe('@RequireAssurance', () => {
  test('with @Public, or twice, the handler is refused for everybody', () => {
    class Contradicting {
      @Public()
      @RequireAssurance({ acr: 'aal2' })
      open(): void {
        expect.fail('never called');
      }
      @Authenticated()
      @RequireAssurance({ acr: 'aal2' })
      @RequireAssurance({ acr: 'aal1' })
      twice(): void {
        expect.fail('never called');
      }
      @RequireAssurance({ acr: 'aal2' })
      alone(): void {
        expect.fail('never called');
      }
    }
    const { prototype } = Contradicting;
    for (const method of [prototype.open, prototype.twice, prototype.alone]) {
      expect(policyOf(method).kind).toBe('undeclared');
    }
  });

  test.each([
    [{ acr: 'aal4' }, /acr/],
    [{ acr: 'aal2', maxAgeSeconds: 0 }, /maxAgeSeconds/],
    [{ acr: 'aal2', maxAgeSeconds: 1.5 }, /maxAgeSeconds/],
  ])('%j is a mistake of the application', (demand, text) => {
    expect(() => RequireAssurance(demand as AssuranceDemand)).toThrow(text);
  });
});

class FrozenClock extends Clock {
  nowMs(): number {
    return NOW * 1000;
  }
}

/** Whoever the header names, as `acr age`. */
class HeaderAuthenticator extends Authenticator {
  authenticate(execution: ExecutionContext): Principal | undefined {
    const { headers } = execution.switchToHttp().getRequest<{ headers: Record<string, string> }>();
    const [acr, age] = headers['x-proof']?.split(' ') ?? [];
    return acr === undefined
      ? undefined
      : { kind: 'account', subject: 'a', acr, authTime: NOW - Number(age) };
  }
}

@Controller()
class VaultController {
  @Get('vault')
  @Authenticated()
  @RequireAssurance({ acr: 'aal2', maxAgeSeconds: 300 })
  open(): string {
    return 'open';
  }
}

@Module({
  imports: [PipelineModule, HttpModule.forRoot({ requestLog: false })],
  controllers: [VaultController],
})
class VaultModule {
  constructor(pipeline: Pipeline) {
    pipeline.useAuthenticator(new HeaderAuthenticator());
    pipeline.register({ name: 'authorize', judge: () => PASSED });
  }
}

describe.each(ADAPTERS)('a handler that demands assurance on %s', (adapter) => {
  test('MFA-20 whoever falls short gets the challenge of RFC 9470 and may follow it', async () => {
    const started = await startApplication(VaultModule, {
      adapter,
      overrides: (builder) => builder.overrideProvider(Clock).useValue(new FrozenClock()),
    });
    const ask = (proof?: string): Promise<Response> =>
      fetch(`${started.url}/vault`, proof === undefined ? {} : { headers: { 'x-proof': proof } });
    try {
      expect((await ask()).headers.get('www-authenticate')).toBe('Bearer');
      for (const weak of ['aal1 0', 'aal2 301']) {
        const answer = await ask(weak);
        expect(answer.status).toBe(401);
        expect(answer.headers.get('www-authenticate')).toBe(
          'Bearer error="insufficient_user_authentication", acr_values="aal2", max_age="300"',
        );
        expect(await answer.json()).toMatchObject({ code: 'insufficient-authentication', status: 401 });
      }
      for (const enough of ['aal2 300', 'aal3 0']) expect((await ask(enough)).status).toBe(200);
    } finally {
      await started.close();
    }
  });
});
