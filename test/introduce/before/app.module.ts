import { Module } from '@nestjs/common';
import { CatsModule } from './cats.module.js';
import { VisitsModule } from './visits.module.js';

@Module({ imports: [CatsModule, VisitsModule] })
export class AppModule {}
