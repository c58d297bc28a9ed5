// The stack that the Nest documentation teaches: rate limiting, authentication with JwtService, authorization by roles.
import { Controller, Get, Injectable, Module, UnauthorizedException } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { JwtModule, JwtService } from '@nestjs/jwt';
import { ThrottlerGuard, ThrottlerModule } from '@nestjs/throttler';
import { Roles, RolesGuard } from './roles.mjs';
import { ANSWER, createApplication, decorate, serve, settings } from './serve.mjs';

class DocumentsController {
  list() {
    return ANSWER;
  }
}
decorate(DocumentsController, {
  on: [Controller('documents')],
  method: 'list',
  methodOn: [Get(), Roles('reader')],
});

class AuthGuard {
  constructor(jwtService) {
    this.jwtService = jwtService;
  }

  async canActivate(context) {
    const request = context.switchToHttp().getRequest();
    const [type, token] = request.headers.authorization?.split(' ') ?? [];
    if (type !== 'Bearer' || !token) throw new UnauthorizedException();
    try {
      request.user = await this.jwtService.verifyAsync(token);
    } catch {
      throw new UnauthorizedException();
    }
    return true;
  }
}
decorate(AuthGuard, { on: [Injectable()], inject: [JwtService] });

// One load generator is one address, and by address the package's own storage keeps one array with every hit of the
// last minute and filters it on each hit (400 µs and more). Counting by subject is what a real crowd would look like.
const getTracker = ({ headers }) => headers.authorization?.slice(-43) ?? 'nobody';

class AppModule {}
decorate(AppModule, {
  on: [
    Module({
      imports: [
        JwtModule.register({ global: true, secret: settings.secret, signOptions: { expiresIn: '1h' } }),
        ThrottlerModule.forRoot({ throttlers: [{ ttl: 60_000, limit: 1_000_000 }], getTracker }),
      ],
      controllers: [DocumentsController],
      providers: [
        { provide: APP_GUARD, useClass: ThrottlerGuard },
        { provide: APP_GUARD, useClass: AuthGuard },
        { provide: APP_GUARD, useClass: RolesGuard },
      ],
    }),
  ],
});

await serve(await createApplication(AppModule));
