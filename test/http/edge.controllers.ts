import {
  Body,
  Controller,
  Get,
  Headers,
  HttpException,
  Param,
  ParseArrayPipe,
  ParseBoolPipe,
  ParseIntPipe,
  ParseUUIDPipe,
  Patch,
  Post,
  Query,
  Res,
  StreamableFile,
} from '@nestjs/common';
import { Type } from 'class-transformer';
import {
  IsBoolean,
  IsDate,
  IsIn,
  IsInt,
  IsNumber,
  IsObject,
  IsOptional,
  IsString,
  Max,
  MaxLength,
  Min,
  ValidateNested,
} from 'class-validator';
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { QueryFailedError } from 'typeorm';
import { RequestContext } from '../../src/core/request-context.js';
import { Authenticated, Public, RequirePermission } from '../../src/core/route-policy.js';
import { ZeroTrustError } from '../../src/core/zero-trust-error.js';

/** What a stack, a message or a driver would give away, if anything of it came out. */
export const SECRET = 'hunter2-and-/srv/app/secret.js';

const THROWN: Readonly<Record<string, () => unknown>> = {
  error: () => new Error(SECRET),
  query: () => new QueryFailedError(`SELECT ${SECRET}`, [SECRET], new Error(SECRET)),
  cause: () => new HttpException({ message: SECRET, nested: { SECRET } }, 418, { cause: new Error(SECRET) }),
  http500: () => new HttpException(SECRET, 500),
  http502: () => new HttpException({ SECRET }, 502),
  odd: () => new HttpException(SECRET, 200),
  status: () => Object.assign(new Error(SECRET), { status: 404, statusCode: 404 }),
  exposed: () => Object.assign(new Error(SECRET), { statusCode: 200, expose: true, type: 'x' }),
  unavailable: () => new ZeroTrustError('temporarily-unavailable', { detail: SECRET }),
  text: () => SECRET,
  null: () => null,
  undefined: () => undefined,
  frozen: () => Object.freeze(Object.create(null) as object),
  proxy: () =>
    new Proxy(new Error(SECRET), {
      getPrototypeOf: () => {
        throw new Error(SECRET);
      },
    }),
};

function isKnown(what: unknown): what is string {
  return typeof what === 'string' && Object.hasOwn(THROWN, what);
}

class ParseWhat {
  transform(value: unknown): string {
    if (isKnown(value)) return value;
    throw new HttpException('unknown', 404);
  }
}

/** Answers, refuses and fails in every way that a handler can. */
@Controller()
export class EdgeController {
  @Get('open')
  @Public()
  open(): object {
    return { ok: true };
  }

  @Post('open')
  @Public()
  change(): object {
    return { ok: true };
  }

  @Get('own')
  @Authenticated()
  own(): object {
    return { ok: true };
  }

  @Get('forbidden')
  @RequirePermission('audit:read')
  forbidden(): object {
    return { ok: true };
  }

  /** Who the edge says is calling. */
  @Get('source')
  @Public()
  source(): object {
    return { source: RequestContext.current()?.sourceAddress };
  }

  @Get('throws/:what')
  @Public()
  throws(@Param('what', ParseWhat) what: string): Promise<never> {
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- that is the point
    return Promise.reject(THROWN[what]?.());
  }

  /** A stream that breaks after its first bytes are out. */
  @Get('breaks')
  @Public()
  breaks(): StreamableFile {
    async function* chunks(): AsyncGenerator<string> {
      yield 'x'.repeat(70_000);
      await new Promise(setImmediate);
      throw new Error(SECRET);
    }
    return new StreamableFile(Readable.from(chunks()));
  }

  @Get('long')
  @Public()
  long(): StreamableFile {
    return new StreamableFile(Readable.from(Array.from({ length: 400 }, () => Buffer.alloc(65_536, 'x'))));
  }

  /** An answer that was prepared as something else when it failed. */
  @Get('half')
  @Public()
  half(@Res({ passthrough: true }) response: ServerResponse & { raw?: ServerResponse }): never {
    const raw = response.raw ?? response;
    raw.setHeader('ETag', '"old"');
    raw.setHeader('Content-Encoding', 'gzip');
    raw.setHeader('Cache-Control', 'public, max-age=60');
    throw new Error(SECRET);
  }

  /** The same by what each adapter offers a handler. */
  @Get('half-said')
  @Public()
  halfSaid(@Res({ passthrough: true }) response: { header(name: string, value: string): unknown }): never {
    response.header('ETag', '"old"');
    response.header('Content-Encoding', 'gzip');
    response.header('Cache-Control', 'public, max-age=60');
    response.header('X-Request-Id', 'theirs');
    throw new Error(SECRET);
  }

  /** A reason that cannot be written. */
  @Get('reason')
  @Public()
  reason(@Res({ passthrough: true }) response: ServerResponse & { raw?: ServerResponse }): never {
    (response.raw ?? response).statusMessage = 'caf\u4e2d';
    throw new Error(SECRET);
  }

  /** A head of its own, of which one field cannot be written. */
  @Get('refused-head')
  @Public()
  refusedHead(@Res() response: ServerResponse & { raw?: ServerResponse }): void {
    (response.raw ?? response).writeHead(200, {
      'X-Given': '\u4e2d',
      'Content-Security-Policy': "default-src 'self'",
      'Strict-Transport-Security': 'max-age=1',
      'X-Content-Type-Options': 'nosniff',
      'X-Frame-Options': 'SAMEORIGIN',
    });
  }
}

export const THROWS: readonly string[] = Object.keys(THROWN);

class Part {
  @IsString()
  @MaxLength(50)
  name!: string;
}

class Main {
  @IsString()
  name!: string;

  @IsOptional()
  @ValidateNested({ each: true })
  @Type(() => Part)
  parts?: Part[];
}

class Thing {
  @IsString()
  @MaxLength(100_000)
  title!: string;

  @IsOptional()
  @IsInt()
  @Min(0)
  @Max(2_147_483_647)
  count?: number;

  @IsOptional()
  @IsBoolean()
  done?: boolean;

  @IsOptional()
  @IsString({ each: true })
  tags?: string[];

  @IsOptional()
  @ValidateNested({ each: true })
  @Type(() => Part)
  parts?: Part[];

  @IsOptional()
  @ValidateNested()
  @Type(() => Main)
  main?: Main;

  @IsOptional()
  @IsObject()
  free?: Record<string, unknown>;
}

/** Query fields of every kind, without a conversion of their own: whatever comes is text. */
class UnconvertedQuery {
  @IsOptional()
  @IsBoolean()
  flag?: boolean;

  @IsOptional()
  @IsNumber()
  n?: number;

  @IsOptional()
  @IsDate()
  d?: Date;

  @IsOptional()
  @IsIn(['name', 'created'])
  sort?: 'name' | 'created';

  @IsOptional()
  @IsString()
  text?: string;
}

/** Binds input in every way that the boot allows, and says what arrived. */
@Controller('bound')
export class BindingController {
  @Post()
  @Public()
  create(@Body() thing: Thing): object {
    return { received: thing, isThing: thing instanceof Thing };
  }

  @Patch()
  @Public()
  change(@Body() thing: Thing): object {
    return { received: thing };
  }

  @Get()
  @Public()
  list(@Query() query: UnconvertedQuery): object {
    return { received: query };
  }

  @Get('piped')
  @Public()
  piped(
    @Query('flag', new ParseBoolPipe({ optional: true })) flag?: boolean,
    @Query('n', new ParseIntPipe({ optional: true })) n?: number,
    @Query('items', new ParseArrayPipe({ optional: true, items: Number })) items?: number[],
  ): object {
    return { flag, n, items };
  }

  @Get('id/:id')
  @Public()
  byId(@Param('id', ParseUUIDPipe) id: string): object {
    return { id };
  }

  @Get('number/:n')
  @Public()
  byNumber(@Param('n', ParseIntPipe) n: number): object {
    return { n };
  }

  /** Merges header fields as careless code would. */
  @Get('headers')
  @Public()
  headers(@Headers() headers: Record<string, string>): object {
    return { count: Object.keys({ ...headers }).length };
  }
}
