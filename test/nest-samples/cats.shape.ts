import {
  Body,
  Controller,
  Get,
  Injectable,
  Module,
  Param,
  ParseIntPipe,
  Post,
  UseGuards,
  UseInterceptors,
  type CallHandler,
  type CanActivate,
  type DynamicModule,
  type ExecutionContext,
  type MiddlewareConsumer,
  type NestInterceptor,
  type NestMiddleware,
  type NestModule,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { IsInt, IsString } from 'class-validator';
import { map, type Observable } from 'rxjs';
import { ADAPTERS } from '../support/hostile.application.js';
import type { Built, Shape } from './shape.js';

class CreateCatDto {
  @IsString()
  readonly name!: string;

  @IsInt()
  readonly age!: number;
}

const Roles = Reflector.createDecorator<string[]>();

interface WithUser {
  readonly user?: { readonly roles: readonly string[] };
  readonly raw?: WithUser;
}

/** As it is copied from the documentation: a handler without roles is everybody's. */
@Injectable()
class RolesGuard implements CanActivate {
  constructor(private readonly reflector: Reflector) {}

  canActivate(context: ExecutionContext): boolean {
    const roles = this.reflector.get(Roles, context.getHandler());
    if (!(roles as unknown)) return true;
    const request = context.switchToHttp().getRequest<WithUser>();
    const user = request.user ?? request.raw?.user;
    return user?.roles.some((role) => roles.includes(role)) ?? false;
  }
}

/** Trusts whoever comes, as the sample's does. */
@Injectable()
class UserMiddleware implements NestMiddleware {
  use(request: { user?: unknown }, _response: unknown, next: () => void): void {
    request.user = { roles: ['admin'] };
    next();
  }
}

@Injectable()
class TransformInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(map((data: unknown) => ({ data })));
  }
}

@Injectable()
class CatsService {
  readonly #cats: CreateCatDto[] = [{ name: 'Tom', age: 3 }];

  create(cat: CreateCatDto): void {
    this.#cats.push(cat);
  }

  findAll(): readonly CreateCatDto[] {
    return this.#cats;
  }
}

function build(): Built {
  @UseGuards(RolesGuard)
  @UseInterceptors(TransformInterceptor)
  @Controller('cats')
  class CatsController {
    constructor(private readonly cats: CatsService) {}

    @Post()
    @Roles(['admin'])
    create(@Body() cat: CreateCatDto): void {
      this.cats.create(cat);
    }

    @Get()
    findAll(): readonly CreateCatDto[] {
      return this.cats.findAll();
    }

    @Get(':id')
    findOne(@Param('id', new ParseIntPipe()) id: number): CreateCatDto | undefined {
      return this.cats.findAll()[id - 1];
    }
  }

  @Module({ controllers: [CatsController], providers: [CatsService] })
  class CatsModule {}

  @Controller('core')
  class CoreController {
    @Get('config')
    config(): object {
      return { folder: 'everything' };
    }
  }

  class CoreModule {
    static forRoot(): DynamicModule {
      return { module: CoreModule, controllers: [CoreController], global: true };
    }
  }

  @Module({ imports: [CoreModule.forRoot(), CatsModule] })
  class AppModule implements NestModule {
    configure(consumer: MiddlewareConsumer): void {
      consumer.apply(UserMiddleware).forRoutes(CatsController);
    }
  }
  return { module: AppModule, classes: [CatsController, CoreController] };
}

export const catsShape: Shape = {
  name: '01-cats-app',
  adapters: ADAPTERS,
  build,
  ways: [
    'CatsController.create (http POST /cats)',
    'CatsController.findAll (http GET /cats)',
    'CatsController.findOne (http GET /cats/:id)',
    'CoreController.config (http GET /core/config)',
  ],
  requests: {
    'CatsController.create': {
      fields: ['Content-Type: application/json'],
      body: JSON.stringify({ name: 'Felix', age: 2 }),
    },
  },
};
