import { Module } from '@nestjs/common';

@Module({ imports: [] })
export class FirstModule {}

@Module({ imports: [] })
export class SecondModule {}
