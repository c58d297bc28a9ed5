import {
  DefaultValuePipe,
  Injectable,
  RequestMethod,
  ValidationPipe,
  type OnApplicationBootstrap,
  type Type,
} from '@nestjs/common';
import {
  METHOD_METADATA,
  PIPES_METADATA,
  ROUTE_ARGS_METADATA,
  RouteParamtypes,
} from '@nestjs/common/internal';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { BootError } from '../core/zero-trust-error.js';
import { dtoFaults } from './dto.check.js';
import { StrictValidationPipe } from './strict-validation.pipe.js';

interface RouteArgument {
  readonly index: number;
  readonly data?: unknown;
  readonly pipes?: readonly unknown[];
  readonly schema?: unknown;
}

const SOURCES: Readonly<Record<number, string>> = {
  [RouteParamtypes.BODY]: '@Body',
  [RouteParamtypes.QUERY]: '@Query',
  [RouteParamtypes.PARAM]: '@Param',
};

/**
 * Refuses to start on input that validation would skip or loosen without a word (ASVS 2.2.1): bare primitives, lists
 * and interfaces as body, classes without a rule, a validation pipe of the host's own, schemas that drop what they
 * do not know.
 */
@Injectable()
export class ValidationCheck implements OnApplicationBootstrap {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
  ) {}

  onApplicationBootstrap(): void {
    const faults = this.discovery
      .getControllers()
      .flatMap(({ metatype }) => (typeof metatype === 'function' ? this.faultsOf(metatype as Type) : []));
    if (faults.length > 0) throw new BootError('HttpModule', [...new Set(faults)]);
  }

  /** What is wrong with the input of a controller's handlers: class, method, parameter and the mend. */
  faultsOf(controller: Type): string[] {
    const prototype = controller.prototype as Record<string, object>;
    const onClass = this.#pipeFaults(controller.name, controller);
    const onMethods = this.scanner.getAllMethodNames(prototype).flatMap((method) => {
      const handler = prototype[method];
      if (
        !handler ||
        (Reflect.getMetadata(METHOD_METADATA, handler) as RequestMethod | undefined) === undefined
      )
        return [];
      const name = `${controller.name}.${method}`;
      return [...this.#pipeFaults(name, handler), ...this.#argumentFaults(name, controller, method)];
    });
    return [...onClass, ...onMethods];
  }

  #pipeFaults(name: string, target: object): string[] {
    const pipes = (Reflect.getMetadata(PIPES_METADATA, target) as unknown[] | undefined) ?? [];
    return pipes.some(isLoosening)
      ? [`${name} has a ValidationPipe of its own: remove it, every input is validated already`]
      : [];
  }

  #argumentFaults(name: string, controller: Type, method: string): string[] {
    const declared = (Reflect.getMetadata(ROUTE_ARGS_METADATA, controller, method) ?? {}) as Record<
      string,
      RouteArgument
    >;
    const types = (Reflect.getMetadata('design:paramtypes', controller.prototype as object, method) ??
      []) as unknown[];
    return Object.entries(declared).flatMap(([key, argument]) => {
      const source = SOURCES[Number(key.split(':', 1)[0])];
      if (!source) return [];
      const where = typeof argument.data === 'string' ? `${source}('${argument.data}')` : `${source}()`;
      return this.#faultsOf(argument, types[argument.index]).map(
        (fault) => `${name}, parameter ${argument.index + 1} ${where}: ${fault}`,
      );
    });
  }

  #faultsOf({ data, pipes = [], schema }: RouteArgument, type: unknown): string[] {
    if (pipes.some(isLoosening))
      return ['has a ValidationPipe of its own: remove it, every input is validated already'];
    // A default says what stands in for nothing, and nothing about what was sent.
    if (!pipes.every(isDefault)) return [];
    if (schema !== undefined)
      return [
        'is checked by a schema that may drop what it does not know: take a class with class-validator rules, or a pipe of your own',
      ];
    if (typeof data === 'string' && isBuiltIn(type)) {
      return ['is a bare value that nothing checks: give it a pipe, e.g. ParseUUIDPipe, or bind a class'];
    }
    if (type === Array)
      return [
        'is a list, whose items nothing checks: wrap it in a class with @ValidateNested({ each: true }) and @Type',
      ];
    if (isBuiltIn(type) || typeof type !== 'function') {
      return [
        'has no class that could be validated (an interface or a bare type): bind a class with class-validator rules',
      ];
    }
    return dtoFaults(type as Type);
  }
}

const BUILT_IN: ReadonlySet<unknown> = new Set([
  String,
  Number,
  Boolean,
  BigInt,
  Symbol,
  Object,
  Date,
  Map,
  Set,
  undefined,
]);
const isBuiltIn = (type: unknown): boolean => BUILT_IN.has(type);

const isDefault = (pipe: unknown): boolean => pipe instanceof DefaultValuePipe || pipe === DefaultValuePipe;

/** A validation of the host's own would run beside ours, by other rules: it may convert before ours looks. */
export const isLoosening = (pipe: unknown): boolean =>
  (pipe instanceof ValidationPipe && !(pipe instanceof StrictValidationPipe)) ||
  (typeof pipe === 'function' &&
    (pipe === ValidationPipe || pipe.prototype instanceof ValidationPipe) &&
    pipe !== StrictValidationPipe);
