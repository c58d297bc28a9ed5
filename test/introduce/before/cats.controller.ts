import {
  Body,
  Controller,
  Delete,
  ForbiddenException,
  Get,
  Param,
  Post,
  Req,
  UseGuards,
} from '@nestjs/common';
import { CatDto } from './cat.dto.js';
import { TokenGuard, type ShelterRequest } from './token.guard.js';

@Controller('cats')
@UseGuards(TokenGuard)
export class CatsController {
  readonly #cats = new Map([['tom', 'Tom']]);

  @Get()
  list(): string[] {
    return [...this.#cats.values()];
  }

  @Post()
  take(@Body() { id, name }: CatDto): { id: string } {
    this.#cats.set(id, name);
    return { id };
  }

  @Delete(':id')
  giveAway(@Param('id') id: string, @Req() request: ShelterRequest): { gone: boolean } {
    if (request.user?.role !== 'keeper') throw new ForbiddenException();
    return { gone: this.#cats.delete(id) };
  }
}
