import { Global, Module } from '@nestjs/common';
import { APP_FILTER, APP_PIPE } from '@nestjs/core';
import { AdapterMethods } from './adapter-methods.js';
import { EdgeState } from './edge.state.js';
import {
  ConfigurableModuleClass,
  HTTP_OPTIONS,
  HTTP_SETTINGS,
  resolveHttpOptions,
  type HttpOptions,
} from './http.options.js';
import { ProblemFilter } from './problem.filter.js';
import { RequestContextOpening } from './request-context.opening.js';
import { RequestLog } from './request-log.js';
import { StrictValidationPipe } from './strict-validation.pipe.js';
import { ValidationCheck } from './validation.check.js';

/** The edge: request context and id, headers, CORS, limits, strict validation, one shape for every error. */
@Global()
@Module({
  providers: [
    {
      provide: HTTP_SETTINGS,
      inject: [HTTP_OPTIONS],
      // An unset NODE_ENV is production.
      useFactory: (options: HttpOptions) =>
        resolveHttpOptions(options, !['development', 'test'].includes(process.env.NODE_ENV ?? '')),
    },
    EdgeState,
    RequestLog,
    RequestContextOpening,
    AdapterMethods,
    ProblemFilter,
    StrictValidationPipe,
    ValidationCheck,
    { provide: APP_FILTER, useExisting: ProblemFilter },
    { provide: APP_PIPE, useExisting: StrictValidationPipe },
  ],
  exports: [HTTP_SETTINGS, EdgeState, RequestLog],
})
export class HttpModule extends ConfigurableModuleClass {}
