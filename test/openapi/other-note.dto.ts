import { IsInt } from 'class-validator';

/** Another class of the name that one in document.controllers.ts has. */
export class NoteDto {
  @IsInt()
  number!: number;
}
