import { Controller, Get, UseGuards } from '@nestjs/common';
import { TokenGuard } from './token.guard.js';

@Controller('visits')
export class VisitsController {
  @Get('hours')
  hours(): { open: string } {
    return { open: '10:00' };
  }

  @Get('mine')
  @UseGuards(TokenGuard)
  mine(): string[] {
    return [];
  }

  /** Nobody ever wrote a guard here. */
  @Get('all')
  all(): string[] {
    return ['Ada', 'Grace'];
  }
}
