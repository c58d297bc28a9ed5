import {
  Inject,
  Injectable,
  ValidationPipe,
  type ArgumentMetadata,
  type ValidationError,
} from '@nestjs/common';
import { ZeroTrustError } from '../core/zero-trust-error.js';
import { HTTP_SETTINGS, type HttpSettings } from './http.options.js';
import { listShapeErrors } from './list-shape.js';
import { valueFault } from './request-content.js';

const MAX_ERRORS = 20;
const MAX_NAME = 64;

/**
 * The one validation of the application: unknown fields are refused, nothing is converted on the quiet, and no
 * message repeats a value (ASVS 2.2.1, 15.3.3, 15.3.5).
 */
@Injectable()
export class StrictValidationPipe extends ValidationPipe {
  constructor(@Inject(HTTP_SETTINGS) private readonly settings: HttpSettings) {
    super({
      whitelist: true,
      forbidNonWhitelisted: true,
      forbidUnknownValues: true,
      transform: true,
      transformOptions: { enableImplicitConversion: false },
      stopAtFirstError: false,
      validationError: { target: false, value: false },
      exceptionFactory: (errors: ValidationError[]) =>
        new ZeroTrustError('validation-failed', {
          detail: 'the input does not hold to its class',
          errors: errors.flatMap((error) => fieldErrors(error, '')).slice(0, MAX_ERRORS),
        }),
    });
  }

  override async transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    // Bodies were judged when they were parsed; a parser of queries may build objects too.
    const fault = metadata.type === 'query' ? valueFault(value, this.settings.bodyDepth) : undefined;
    if (fault) throw fault;
    return (await super.transform(value, metadata)) as unknown;
  }

  protected override async validate(
    object: object,
    options?: Parameters<ValidationPipe['validate']>[1],
  ): Promise<ValidationError[]> {
    const errors = await super.validate(object, options);
    return errors.length > 0 ? errors : listShapeErrors(object);
  }

  /** Nest would turn `0x10` into 16 and an empty text into 0. Bare primitives have a pipe of their own or do not boot. */
  protected override transformPrimitive(value: unknown): unknown {
    return value;
  }
}

function fieldErrors(
  { property, constraints, children }: ValidationError,
  parent: string,
): { field: string; messages: string[] }[] {
  const name = property.length > MAX_NAME ? `${property.slice(0, MAX_NAME)}…` : property;
  const field = parent === '' ? name : `${parent}.${name}`;
  const messages = Object.entries(constraints ?? {}).map(([rule, message]) =>
    // Its text names the field, which the caller chose; the field is named beside it, and bounded.
    rule === 'whitelistValidation' ? 'should not exist' : message.slice(0, 200),
  );
  return [
    ...(messages.length > 0 ? [{ field, messages }] : []),
    ...(children ?? []).flatMap((child) => fieldErrors(child, field)),
  ];
}
