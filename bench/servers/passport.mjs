// passport-jwt as the Nest documentation shows it, with the look-up that makes a disabled user felt: the user, by TypeORM.
import { Controller, Get, Injectable, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { AuthGuard, PassportModule, PassportStrategy } from '@nestjs/passport';
import { getRepositoryToken, TypeOrmModule } from '@nestjs/typeorm';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { EntitySchema } from 'typeorm';
import { Roles, RolesGuard } from './roles.mjs';
import { ANSWER, createApplication, decorate, serve, settings } from './serve.mjs';

const User = new EntitySchema({
  name: 'User',
  schema: 'bench',
  tableName: 'users',
  columns: {
    id: { type: 'uuid', primary: true },
    email: { type: 'text' },
    disabled: { type: 'boolean' },
    roles: { type: 'text', array: true },
  },
});

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

class JwtStrategy extends PassportStrategy(Strategy) {
  constructor(users) {
    super({
      jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
      ignoreExpiration: false,
      secretOrKey: settings.secret,
    });
    this.users = users;
  }

  async validate({ sub }) {
    const user = await this.users.findOneBy({ id: sub });
    return user?.disabled === false ? user : null;
  }
}
const usersToken = getRepositoryToken(User);
decorate(JwtStrategy, { on: [Injectable()], inject: [Object] });
Reflect.defineMetadata('self:paramtypes', [{ index: 0, param: usersToken }], JwtStrategy);

class JwtAuthGuard extends AuthGuard('jwt') {}
decorate(JwtAuthGuard, { on: [Injectable()] });

class AppModule {}
decorate(AppModule, {
  on: [
    Module({
      imports: [
        PassportModule,
        TypeOrmModule.forRoot({ type: 'postgres', url: settings.peerUrl, entities: [User], poolSize: 10 }),
        TypeOrmModule.forFeature([User]),
      ],
      controllers: [DocumentsController],
      providers: [
        JwtStrategy,
        { provide: APP_GUARD, useClass: JwtAuthGuard },
        { provide: APP_GUARD, useClass: RolesGuard },
      ],
    }),
  ],
});

await serve(await createApplication(AppModule));
