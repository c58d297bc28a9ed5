import { IsIBAN, IsInt, IsNotEmpty, IsString, Matches, Max, MaxLength, Min } from 'class-validator';

export class CreateInvoiceDto {
  @IsString()
  @IsNotEmpty()
  @MaxLength(200)
  clientName!: string;

  @IsString()
  @MaxLength(34)
  @IsIBAN()
  iban!: string;

  @IsInt()
  @Min(1)
  @Max(100_000_000_000)
  amountCents!: number;

  @IsString()
  @Matches(/^[A-Z]{3}$/)
  currency!: string;
}
