import {
  All,
  Body,
  Controller,
  Get,
  Header,
  HttpCode,
  Injectable,
  Param,
  ParseIntPipe,
  Post,
  Search,
  Version,
} from '@nestjs/common';
import { Query as GraphqlQuery, Resolver } from '@nestjs/graphql';
import { MessagePattern } from '@nestjs/microservices';
import {
  ApiBearerAuth,
  ApiExcludeController,
  ApiExcludeEndpoint,
  ApiExtension,
  ApiOperation,
  ApiProperty,
  ApiResponse,
} from '@nestjs/swagger';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { Type } from 'class-transformer';
import { ArrayMaxSize, IsOptional, IsString, MaxLength, ValidateNested } from 'class-validator';
import { CurrentResource } from '../../src/access/objects/call.findings.js';
import { objectRule } from '../../src/access/objects/object-rule.js';
import { ResourceResolver } from '../../src/access/objects/resource.resolver.js';
import { NoteDto as OtherNoteDto } from './other-note.dto.js';
import { Authenticated, Public, RequireAssurance, RequirePermission } from '../../src/core/route-policy.js';

class LineDto {
  @IsString()
  @MaxLength(20)
  word!: string;
}

export class NoteDto {
  @ApiProperty({ description: 'What it is about.', example: 'Rain', maxLength: 9, required: false })
  @IsString()
  @MaxLength(50)
  title!: string;

  @ValidateNested({ each: true })
  @ArrayMaxSize(5)
  @Type(() => LineDto)
  lines!: LineDto[];

  @IsOptional()
  @ValidateNested()
  @Type(() => NoteDto)
  answers?: NoteDto;
}

class HiddenDto {
  @IsString()
  @MaxLength(10)
  secretName!: string;
}

@Controller('notes')
export class NotesController {
  @Post()
  @Authenticated()
  @ApiOperation({ summary: 'Write one', description: 'It is kept.', operationId: 'writeNote' })
  @ApiResponse({ status: 409, description: 'There is one already.' })
  create(@Body() note: NoteDto): NoteDto {
    return note;
  }

  @Get('open')
  @Public()
  @Header('Content-Type', 'text/csv; charset=utf-8')
  @ApiBearerAuth('somebody-elses')
  @ApiExtension('x-required-permissions', ['documents:write'])
  open(): string {
    return 'a,b';
  }

  @Get('page/:number')
  @RequirePermission('documents:read', 'invoices:read')
  @RequireAssurance({ acr: 'aal3' })
  page(@Param('number', ParseIntPipe) number: number): number {
    return number;
  }

  @Get(['files/*', 'blobs/*'])
  @RequirePermission('documents:read')
  file(): string {
    return 'file';
  }

  @All('any')
  @Authenticated()
  any(): string {
    return 'any';
  }

  @Search('find')
  @Authenticated()
  find(): string {
    return 'found';
  }

  @Post('hidden')
  @Authenticated()
  @ApiExcludeEndpoint()
  hidden(@Body() body: HiddenDto): string {
    return body.secretName;
  }

  @ApiExcludeEndpoint(false)
  @Get('shown')
  @Authenticated()
  shown(): string {
    return 'shown';
  }

  @MessagePattern('notes.count')
  @Authenticated()
  count(): number {
    return 1;
  }
}

@ApiExcludeController()
@Controller('internal')
export class InternalController {
  @Post()
  @Authenticated()
  act(@Body() body: HiddenDto): string {
    return body.secretName;
  }
}

@Controller(['twice', 'again'])
export class TwiceController {
  @Post()
  @HttpCode(202)
  @RequirePermission('documents:write')
  act(@Body() body: OtherNoteDto): unknown {
    return body;
  }
}

@Controller('versioned')
export class VersionedController {
  @Get()
  @Version('1')
  @Public()
  first(): string {
    return 'first';
  }

  @Get()
  @Version('2')
  @RequirePermission('documents:read')
  second(): string {
    return 'second';
  }
}

@Controller({ path: 'hosted', host: 'admin.example.com' })
export class HostedController {
  @Get()
  @RequirePermission('documents:write')
  read(): string {
    return 'hosted';
  }
}

interface Numbered {
  readonly tenantId: string;
  readonly number: number;
}

@Injectable()
export class NumberedNote extends ResourceResolver<Numbered> {
  readonly rule = objectRule<Numbered>({
    type: 'note',
    name: 'every',
    holds: () => true,
    scopes: { tenant: 'tenantId' },
  });
  override readonly parameter = 'number';
  override readonly idFormat = /^[1-9]\d{0,8}$/;
  load(id: string): Promise<Numbered> {
    return Promise.resolve({ number: Number(id), tenantId: 'acme' });
  }
}

@Controller('numbered')
export class NumberedController {
  @Get(':number')
  @RequirePermission('documents:read', { resource: NumberedNote, within: 'tenant' })
  read(@CurrentResource() { number }: Numbered): number {
    return number;
  }
}

@WebSocketGateway()
export class NotesGateway {
  @SubscribeMessage('notes.follow')
  @Authenticated()
  follow(): string {
    return 'followed';
  }
}

@Resolver()
export class NotesResolver {
  @GraphqlQuery(() => String)
  @Authenticated()
  graphNote(): string {
    return 'note';
  }
}
