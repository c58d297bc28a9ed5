/** Connection-level failures of the operating system and of the resolver. */
const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/**
 * SQLSTATEs that say "not now", never "not so": connection lost (08), out of resources (53), shutdown, crash and
 * start-up (57P0x), statement timeout or cancelled (57014), idle or overlong transaction ended (25P03, 25P04),
 * a demoted primary (25006), and a login that is refused at run time (28), e.g. while passwords are rotated.
 */
const NOT_NOW = /^(08|53|28)...$|^57P0\d$|^57014$|^25P0[34]$|^25006$/;

/** What pg and pg-pool say without a code. */
const LOST =
  /^(Connection terminated|timeout exceeded when trying to connect|Query read timeout|timeout expired|Client has encountered a connection error|Client was closed|Cannot use a pool after calling end)/;

/** TypeORM releases a runner whose connection broke; whoever still held it gets these. */
const TYPEORM_LOST = new Set(['QueryRunnerAlreadyReleasedError', 'ConnectionIsNotSetError']);

/**
 * Whether the database could not answer, as opposed to having answered no. Looks through `cause` and TypeORM's
 * wrappers. Such a request gets 503: a check that cannot be made is a refusal.
 */
export function isDatabaseUnavailable(error: unknown): boolean {
  const seen = new Set<unknown>();
  for (let each = error; each instanceof Error && !seen.has(each); each = innerOf(each)) {
    seen.add(each);
    if (TYPEORM_LOST.has(each.name) || LOST.test(each.message)) return true;
    const { code, syscall } = each as { code?: unknown; syscall?: unknown };
    if (typeof code === 'string') {
      if (UNREACHABLE.has(code) || NOT_NOW.test(code)) return true;
      // The Unix socket is gone with its server.
      if (code === 'ENOENT' && syscall === 'connect') return true;
    }
    if (each instanceof AggregateError && each.errors.some((inner) => isDatabaseUnavailable(inner)))
      return true;
  }
  return false;
}

function innerOf(error: Error): unknown {
  return error.cause ?? (error as { driverError?: unknown }).driverError;
}

/** One line for an operator, without the statement, its values, or a password. */
export function databaseErrorLine(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return databaseErrorLine(error.errors[0]);
  if (!(error instanceof Error)) return 'unknown error';
  const { code } = error as { code?: unknown };
  const line = error.message.split('\n', 1)[0] ?? '';
  return typeof code === 'string' && !line.includes(code) ? `${line} (${code})` : line;
}
