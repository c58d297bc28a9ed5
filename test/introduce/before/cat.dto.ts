import { Length } from 'class-validator';

export class CatDto {
  @Length(1, 20)
  readonly id!: string;

  @Length(1, 80)
  readonly name!: string;
}
