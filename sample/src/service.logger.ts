import { ConsoleLogger } from '@nestjs/common';

/** What Nest tells of its own start, a line for each module and route: `zero-trust routes` has it in a table. */
const CHATTER: ReadonlySet<unknown> = new Set([
  'InstanceLoader',
  'NestFactory',
  'RouterExplorer',
  'RoutesResolver',
  'NestApplication',
]);

/**
 * Nest prints a failed start with its stack; this service says in one line what is wrong (`start.ts`), so that
 * part of Nest stays silent. Everything else is logged: as text for people, as JSON lines in production.
 */
export class ServiceLogger extends ConsoleLogger {
  constructor() {
    super({ json: process.env.NODE_ENV !== 'development', logLevels: ['fatal', 'error', 'warn', 'log'] });
  }

  override log(message: unknown, ...rest: unknown[]): void {
    if (!CHATTER.has(rest.at(-1))) super.log(message, ...(rest as [string]));
  }

  override error(message: unknown, ...rest: unknown[]): void {
    if (rest.at(-1) === 'ExceptionHandler') return;
    super.error(message, ...(rest as [string]));
  }
}
