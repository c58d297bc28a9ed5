import { Controller, Delete, Get, Module } from '@nestjs/common';
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
