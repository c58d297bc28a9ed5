import {
  All,
  Controller,
  Get,
  Module,
  Redirect,
  Sse,
  Version,
  VERSION_NEUTRAL,
  type INestApplication,
  type MessageEvent,
} from '@nestjs/common';
import { LazyModuleLoader, NestFactory } from '@nestjs/core';
import { Public, RequirePermission } from 'nestjs-zero-trust';
import { of, type Observable } from 'rxjs';
import { AppModule as GuardedModule } from './guarded.module.js';

@Controller({ path: 'cats', version: ['1', VERSION_NEUTRAL] })
class CatsController {
  @Get()
  @RequirePermission('documents:read')
  list(): string {
    return 'cats';
  }

  @Get()
  @Version('2')
  @RequirePermission('documents:write')
  listAgain(): string {
    return 'cats';
  }

  @Get('old')
  @Version('2')
  @Redirect('/v2/cats')
  @Public()
  moved(): void {
    // The decorator says where to.
  }
}

@Controller({ path: 'profile', host: ':account.example.test' })
class ProfileController {
  @Sse()
  @RequirePermission('documents:read')
  changes(): Observable<MessageEvent> {
    return of({ data: 'changed' });
  }
}

@Controller()
class FallbackController {
  @All('files/*path')
  @RequirePermission('documents:read')
  any(): string {
    return 'any';
  }
}

@Controller('reports')
class ReportsController {
  @Get()
  @RequirePermission('documents:read')
  read(): string {
    return 'a report';
  }
}
@Module({ controllers: [ReportsController] })
class ReportsModule {}

@Module({
  imports: [GuardedModule],
  controllers: [CatsController, ProfileController, FallbackController],
  providers: [
    {
      provide: 'reports',
      inject: [LazyModuleLoader],
      useFactory: (loader: LazyModuleLoader) => loader.load(() => ReportsModule),
    },
  ],
})
export class ShapesModule {}

export async function createApplication(): Promise<INestApplication> {
  const app = await NestFactory.create(ShapesModule, { abortOnError: false, logger: false });
  return app.setGlobalPrefix('api', { exclude: ['reports'] }).enableVersioning();
}
