import { Controller, Get, Module } from '@nestjs/common';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { AppModule } from '../../sample/src/app.module.js';
import { DevelopmentModule } from '../../sample/src/development.module.js';
import { RouteMatrix } from '../../src/access/inventory/route-matrix.js';
import { namedRoutes } from '../../src/access/inventory/route-name.js';
import { Public } from '../../src/core/route-policy.js';
import { startSample } from '../support/sample.js';

@Controller('status')
class StatusController {
  @Get()
  @Public()
  read(): string {
    return 'nobody reviewed this';
  }
}

const reviewed = (
  JSON.parse(readFileSync(new URL('../../sample/zero-trust.routes.json', import.meta.url), 'utf8')) as {
    public: { route: string }[];
  }
).public.map(({ route }) => route);

test('V8.1.1 what anybody reaches of the sample is on its reviewed list, and nothing else is open', async () => {
  const sample = await startSample();
  try {
    const rows = await sample.app.get(RouteMatrix, { strict: false }).rows();
    const open = [...namedRoutes(rows)].filter(([, { policy }]) => policy === 'public').map(([name]) => name);
    expect(open.sort()).toEqual([...reviewed].sort());
    expect(open.length).toBeGreaterThan(0);
  } finally {
    await sample.close();
  }
});

test.each([
  ['in production', AppModule],
  ['in development', DevelopmentModule],
])('V8.1.1 the sample does not start with a public route that nobody reviewed, %s', async (_name, root) => {
  @Module({ imports: [root], controllers: [StatusController] })
  class CarelessModule {}
  await expect(startSample({ root: CarelessModule })).rejects.toThrow(/- GET \/status is reached by anybody/);
});
