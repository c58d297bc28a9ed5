import {
  Body,
  Controller,
  DefaultValuePipe,
  Get,
  Param,
  ParseIntPipe,
  Post,
  Query,
  UsePipes,
  ValidationPipe,
  type INestApplication,
  type Type,
} from '@nestjs/common';
import { APP_PIPE } from '@nestjs/core';
import { Transform, Type as Nested } from 'class-transformer';
import {
  Allow,
  IsArray,
  IsBoolean,
  IsDate,
  IsDefined,
  IsInt,
  IsNotEmpty,
  IsOptional,
  IsString,
  ValidateNested,
} from 'class-validator';
import { describe, expect, test } from 'vitest';
import { Public } from '../../src/core/route-policy.js';
import { ADAPTERS, startApplication } from '../support/application.js';
import { edgeModule, edgeRefusal, startEdge } from './edge.application.js';

interface Shape {
  readonly title: string;
}

class Checked {
  @IsString()
  title!: string;
}

class Unchecked {
  title!: string;
}

class UncheckedChild {
  @IsOptional()
  child?: Unchecked;

  @IsString()
  title!: string;
}

class UncheckedGrandchild {
  @ValidateNested()
  @Nested(() => UncheckedChild)
  child!: UncheckedChild;
}

class UncheckedItems {
  @IsArray()
  tags!: string[];
}

class Anything {
  @Allow()
  role!: string;
}

class OptionalAnything {
  @IsOptional()
  role?: string;
}

class DefinedAnything {
  @IsDefined()
  @IsNotEmpty()
  role!: string;
}

class LooseBoolean {
  @IsBoolean()
  @Nested(() => Boolean)
  flag!: boolean;
}

class LooseNumber {
  @IsInt()
  @Nested(() => Number)
  n!: number;
}

class LooseTransform {
  @IsInt()
  @Transform(({ value }) => Number.parseInt(String(value), 10))
  n!: number;
}

class LooseDate {
  @IsDate()
  @Nested(() => Date)
  at!: Date;
}

/** One notation, and everything else stays what it was for the rule to refuse. */
class StrictTransform {
  @IsInt()
  @Transform(({ value }: { value: unknown }) =>
    typeof value === 'string' && /^(0|[1-9]\d{0,8})$/.test(value) ? Number(value) : value,
  )
  n!: number;
}

const schema = {
  '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) },
} as const;

class OwnPipe extends ValidationPipe {}

/** Declares a controller in a test's own words. */
function controllerWith(define: () => Type): Type {
  return define();
}

const refused: readonly [what: string, controller: Type, says: string][] = [
  [
    'VAL-06 a list as body',
    controllerWith(() => {
      @Controller()
      class Hostile {
        @Post('x')
        @Public()
        x(@Body() items: Checked[]): unknown {
          return items;
        }
      }
      return Hostile;
    }),
    'Hostile.x, parameter 1 @Body(): is a list, whose items nothing checks',
  ],
  [
    'VAL-06 an interface as body',
    controllerWith(() => {
      @Controller()
      class Hostile {
        @Post('x')
        @Public()
        x(@Body() body: Shape): unknown {
          return body;
        }
      }
      return Hostile;
    }),
    'Hostile.x, parameter 1 @Body(): has no class that could be validated',
  ],
  [
    'VAL-06 a record as body',
    controllerWith(() => {
      @Controller()
      class Hostile {
        @Post('x')
        @Public()
        x(@Body() body: Record<string, unknown>): unknown {
          return body;
        }
      }
      return Hostile;
    }),
    'Hostile.x, parameter 1 @Body(): has no class that could be validated',
  ],
  [
    'VAL-06 a text as body',
    controllerWith(() => {
      @Controller()
      class Hostile {
        @Post('x')
        @Public()
        x(@Body() body: string): unknown {
          return body;
        }
      }
      return Hostile;
    }),
    'Hostile.x, parameter 1 @Body(): has no class that could be validated',
  ],
  [
    'VAL-06 one bare field of a body',
    controllerWith(() => {
      @Controller()
      class Hostile {
        @Post('x')
        @Public()
        x(@Body('title') title: string): unknown {
          return title;
        }
      }
      return Hostile;
    }),
    "Hostile.x, parameter 1 @Body('title'): is a bare value that nothing checks",
  ],
  [
    'VAL-07 a bare number in a query',
    controllerWith(() => {
      @Controller()
      class Hostile {
        @Get('x')
        @Public()
        x(@Query('n') n: number): unknown {
          return n;
        }
      }
      return Hostile;
    }),
    "Hostile.x, parameter 1 @Query('n'): is a bare value that nothing checks",
  ],
  [
    'VAL-07 a bare parameter of a path, second in line',
    controllerWith(() => {
      @Controller()
      class Hostile {
        @Get('x/:id')
        @Public()
        x(@Query() query: Checked, @Param('id') id: string): unknown {
          return [query, id];
        }
      }
      return Hostile;
    }),
    "Hostile.x, parameter 2 @Param('id'): is a bare value that nothing checks",
  ],
  [
    'VAL-06 all parameters of a path as they come',
    controllerWith(() => {
      @Controller()
      class Hostile {
        @Get('x/:id')
        @Public()
        x(@Param() all: Record<string, string>): unknown {
          return all;
        }
      }
      return Hostile;
    }),
    'Hostile.x, parameter 1 @Param(): has no class that could be validated',
  ],
  [
    'VAL-07 a bare value with nothing but a default',
    controllerWith(() => {
      @Controller()
      class Hostile {
        @Get('x')
        @Public()
        x(@Query('n', new DefaultValuePipe(1)) n: number): unknown {
          return n;
        }
      }
      return Hostile;
    }),
    "Hostile.x, parameter 1 @Query('n'): is a bare value that nothing checks",
  ],
  [
    'VAL-07 a handler that was inherited',
    controllerWith(() => {
      class Base {
        @Get('x')
        @Public()
        x(@Query('n') n: string): unknown {
          return n;
        }
      }
      @Controller()
      class Hostile extends Base {}
      return Hostile;
    }),
    "Hostile.x, parameter 1 @Query('n'): is a bare value that nothing checks",
  ],
  ...(
    [
      [Unchecked, 'Unchecked has no class-validator rule'],
      [UncheckedChild, 'UncheckedChild.child may be anything'],
      [UncheckedGrandchild, 'UncheckedChild.child may be anything'],
      [UncheckedItems, 'UncheckedItems.tags is a list whose items nothing checks'],
      [Anything, 'Anything.role may be anything'],
      [OptionalAnything, 'OptionalAnything.role may be anything'],
      [DefinedAnything, 'DefinedAnything.role may be anything'],
      [LooseBoolean, 'LooseBoolean.flag turns the text "false" into a value'],
      [LooseNumber, 'LooseNumber.n turns the text "" into a value'],
      [LooseTransform, 'LooseTransform.n turns the text "0x10" into a value'],
      [LooseDate, 'LooseDate.at turns the text "0" into a value'],
    ] as const
  ).map(([dto, says]): [string, Type, string] => {
    @Controller()
    class Hostile {
      x(body: unknown): unknown {
        return body;
      }
    }
    // As the decorators would write it, for a class that is only known here.
    const descriptor = Object.getOwnPropertyDescriptor(Hostile.prototype, 'x') as PropertyDescriptor;
    Reflect.defineMetadata('design:paramtypes', [dto], Hostile.prototype, 'x');
    Body()(Hostile.prototype, 'x', 0);
    Post('x')(Hostile.prototype, 'x', descriptor);
    Public()(Hostile.prototype, 'x', descriptor);
    return [`${dto.name.startsWith('Loose') ? 'VAL-07' : 'VAL-06'} the class ${dto.name}`, Hostile, says];
  }),
  [
    'VAL-07 a validation of its own on a method',
    controllerWith(() => {
      @Controller()
      class Hostile {
        @Post('x')
        @Public()
        @UsePipes(new ValidationPipe({ transform: true }))
        x(@Body() body: Checked): unknown {
          return body;
        }
      }
      return Hostile;
    }),
    'Hostile.x has a ValidationPipe of its own',
  ],
  [
    'VAL-07 a validation of its own on a class',
    controllerWith(() => {
      @Controller()
      @UsePipes(OwnPipe)
      class Hostile {
        @Post('x')
        @Public()
        x(@Body() body: Checked): unknown {
          return body;
        }
      }
      return Hostile;
    }),
    'Hostile has a ValidationPipe of its own',
  ],
  [
    'VAL-07 a validation of its own on a parameter',
    controllerWith(() => {
      @Controller()
      class Hostile {
        @Post('x')
        @Public()
        x(@Body(new ValidationPipe({ whitelist: false })) body: Checked): unknown {
          return body;
        }
      }
      return Hostile;
    }),
    'Hostile.x, parameter 1 @Body(): has a ValidationPipe of its own',
  ],
  [
    'VAL-25 a Standard Schema, which may drop what it does not know',
    controllerWith(() => {
      @Controller()
      class Hostile {
        @Post('x')
        @Public()
        x(@Body({ schema }) body: Checked): unknown {
          return body;
        }
      }
      return Hostile;
    }),
    'Hostile.x, parameter 1 @Body(): is checked by a schema that may drop what it does not know',
  ],
];

describe('what validation would skip or loosen', () => {
  test.each(refused)('%s does not start', async (_, controller, says) => {
    const refusal = await edgeRefusal({ controllers: [controller] });
    expect(refusal).toContain('HttpModule refuses to start:');
    expect(refusal).toContain(says);
    // Fault and mend.
    expect(
      refusal
        .split('\n')
        .slice(1)
        .every((line) => / (.+): .+/.test(line)),
    ).toBe(true);
  });

  test('every fault of every controller is named at once', async () => {
    const refusal = await edgeRefusal({ controllers: refused.map(([, controller]) => controller) });
    for (const [, , says] of refused) expect(refusal).toContain(says);
  });

  test.each(ADAPTERS)('VAL-07 a global ValidationPipe beside ours does not start on %s', async (adapter) => {
    const before = (app: INestApplication): void => {
      app.useGlobalPipes(
        new ValidationPipe({ transform: true, transformOptions: { enableImplicitConversion: true } }),
      );
    };
    expect(await edgeRefusal({ adapter, before })).toContain(
      'the application has a global ValidationPipe of its own',
    );
  });

  test('VAL-07 one that a module provides does not start either', async () => {
    const module = {
      ...edgeModule(),
      providers: [{ provide: APP_PIPE, useValue: new ValidationPipe({ transform: true }) }],
    };
    await expect(startApplication(module)).rejects.toThrow('a global ValidationPipe of its own');
  });

  test('what holds to the rules starts: classes, pipes of their own, strict conversions', async () => {
    @Controller()
    class Fine {
      @Post('x/:id')
      @Public()
      x(
        @Body() body: Checked,
        @Param('id', ParseIntPipe) id: number,
        @Query('n', new DefaultValuePipe(1), ParseIntPipe) n: number,
      ): unknown {
        return [body, id, n];
      }

      @Get('y')
      @Public()
      y(@Query() query: StrictTransform): object {
        return { n: query.n };
      }
    }
    const edge = await startEdge({ controllers: [Fine] });
    try {
      expect(await (await fetch(`${edge.url}/y?n=5`)).json()).toEqual({ n: 5 });
      for (const n of ['', '05', '0x5', '5e0', ' 5', '-0', '[]', '5&n=6']) {
        expect([n, (await fetch(`${edge.url}/y?n=${n}`)).status]).toEqual([n, 400]);
      }
    } finally {
      await edge.close();
    }
  });

  test('an application that forgets secureApplication does not start, and one that calls it twice neither', async () => {
    const { Test } = await import('@nestjs/testing');
    const compiled = await Test.createTestingModule({ imports: [edgeModule()] }).compile();
    const app = compiled.createNestApplication({ logger: false });
    await expect(app.init()).rejects.toThrow('secureApplication was not called');
    await app.close().catch(() => undefined);
    const { secureApplication } = await import('../../src/http/secure-application.js');
    expect(await edgeRefusal({ before: (again) => secureApplication(again) })).toBe(
      'secureApplication() was called twice.',
    );
  });
});
