import {
  All,
  Controller,
  Get,
  HostParam,
  Module,
  Post,
  Redirect,
  Search,
  Sse,
  StreamableFile,
  UploadedFile,
  UseInterceptors,
  type MessageEvent,
} from '@nestjs/common';
import { LazyModuleLoader } from '@nestjs/core';
import { FileInterceptor } from '@nestjs/platform-express';
import { map, take, timer, type Observable } from 'rxjs';
import { ADAPTERS, type AdapterName } from '../support/hostile.application.js';
import type { Built, Shape } from './shape.js';

const sse: Shape = {
  name: '28-sse',
  adapters: ADAPTERS,
  build(): Built {
    @Controller()
    class AppController {
      @Get()
      index(): string {
        return '<script>new EventSource("/sse")</script>';
      }

      @Sse('sse')
      sse(): Observable<MessageEvent> {
        return timer(0, 1).pipe(
          take(3),
          map((id) => ({ data: { hello: id } })),
        );
      }
    }
    @Module({ controllers: [AppController] })
    class AppModule {}
    return { module: AppModule, classes: [AppController] };
  },
  ways: ['AppController.index (http GET /)', 'AppController.sse (http GET /sse)'],
};

const streaming: Shape = {
  name: '30-streaming, with a redirect and a search',
  adapters: ADAPTERS,
  build(): Built {
    @Controller('file')
    class FileController {
      @Get()
      file(): StreamableFile {
        return new StreamableFile(Buffer.from('the content of a file'));
      }

      @Get('latest')
      @Redirect('/file', 302)
      latest(): void {
        // The decorator says where to.
      }

      @Search('contents')
      search(): string {
        return 'found';
      }
    }
    @Module({ controllers: [FileController] })
    class AppModule {}
    return { module: AppModule, classes: [FileController] };
  },
  ways: [
    'FileController.file (http GET /file)',
    'FileController.latest (http GET /file/latest)',
    'FileController.search (http SEARCH /file/contents)',
  ],
};

const BOUNDARY = 'boundary-of-the-parts';
const upload: Shape = {
  name: '29-file-upload',
  // Multipart on Fastify is a package of its own.
  adapters: ['express'],
  build(): Built {
    @Controller()
    class UploadController {
      @Post('file')
      @UseInterceptors(FileInterceptor('file'))
      upload(@UploadedFile() file: { readonly buffer: Buffer }): object {
        return { size: file.buffer.length };
      }
    }
    @Module({ controllers: [UploadController] })
    class AppModule {}
    return { module: AppModule, classes: [UploadController] };
  },
  ways: ['UploadController.upload (http POST /file)'],
  requests: {
    'UploadController.upload': {
      fields: [`Content-Type: multipart/form-data; boundary=${BOUNDARY}`],
      body: [
        `--${BOUNDARY}`,
        'Content-Disposition: form-data; name="file"; filename="cat.txt"',
        'Content-Type: text/plain',
        '',
        'a cat',
        `--${BOUNDARY}--`,
        '',
      ].join('\r\n'),
    },
  },
};

/** The two adapters write a wildcard differently. */
const wildcard = (adapter: AdapterName, path: string): Shape => ({
  name: `a host-bound controller and a catch-all (${path})`,
  adapters: [adapter],
  build(): Built {
    @Controller({ path: 'profile', host: ':account.example.test' })
    class AccountController {
      @Get()
      profile(@HostParam('account') account: string): string {
        return `profile of ${account}`;
      }
    }
    @Controller()
    class FallbackController {
      @All(path)
      fallback(): string {
        return 'whatever was asked for';
      }
    }
    @Module({ controllers: [AccountController, FallbackController] })
    class AppModule {}
    return { module: AppModule, classes: [AccountController, FallbackController] };
  },
  ways: ['AccountController.profile (http GET /profile)', `FallbackController.fallback (http ALL /${path})`],
});

const lazy: Shape = {
  proves: 'RBAC-32',
  name: 'lazy loading, while the application is put together',
  adapters: ADAPTERS,
  build(): Built {
    @Controller('reports')
    class ReportsController {
      @Get()
      read(): string {
        return 'a report';
      }
    }
    @Module({ controllers: [ReportsController] })
    class ReportsModule {}
    @Controller()
    class AppController {
      @Get()
      index(): string {
        return 'index';
      }
    }
    @Module({
      controllers: [AppController],
      providers: [
        {
          provide: 'reports',
          inject: [LazyModuleLoader],
          useFactory: (loader: LazyModuleLoader) => loader.load(() => ReportsModule),
        },
      ],
    })
    class AppModule {}
    return { module: AppModule, classes: [AppController, ReportsController] };
  },
  ways: ['AppController.index (http GET /)', 'ReportsController.read (http GET /reports)'],
};

export const httpShapes: readonly Shape[] = [
  sse,
  streaming,
  upload,
  wildcard('express', '*path'),
  wildcard('fastify', '*'),
  lazy,
];
