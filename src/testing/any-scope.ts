import { Injectable } from '@nestjs/common';
import { Scopes } from '../access/grants/scopes.js';

/** Nothing is granted without a database, so nobody has to know which scopes there are. */
@Injectable()
export class AnyScope extends Scopes {
  override onApplicationBootstrap(): void {
    // Whoever knows may say so, and need not be part of what is tested.
  }
}
