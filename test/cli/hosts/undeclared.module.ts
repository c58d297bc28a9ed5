import { Controller, Delete, Get, Module, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Public, RequirePermission } from 'nestjs-zero-trust';
import { AppModule as GuardedModule } from './guarded.module.js';

@Controller('forgotten')
class ForgottenController {
  @Get()
  open(): string {
    return 'nobody declared this';
  }

  @Get('both')
  @Public()
  @RequirePermission('documents:read')
  both(): string {
    return 'two contradictory marks';
  }

  @Delete()
  @RequirePermission('documents:shred' as never)
  shred(): void {
    // A permission that the catalogue does not hold.
  }
}

@Module({ imports: [GuardedModule], controllers: [ForgottenController] })
export class ForgottenModule {}

/** What Swagger and its like do: a route that Nest never hears of. */
export async function createBypassed(): Promise<INestApplication> {
  const app = await NestFactory.create(GuardedModule, { abortOnError: false, logger: false });
  app.getHttpAdapter().get('/pages', (_request: unknown, response: { end(): void }) => {
    response.end();
  });
  return app;
}
