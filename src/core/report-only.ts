import type { JudgedCall } from './judged-call.js';
import type { Refusal } from './verdict.js';

/** What a stage would have refused. */
export interface WouldBeRefusal {
  /** Its place in `PIPELINE`. */
  readonly stage: string;
  readonly refusal: Refusal;
}

/** Port: which calls are judged without consequences, and who is told. `access/` brings the one there is. */
export interface ReportOnlyMode {
  /** Asked of every call: has to be quick, and to say no of whatever it does not know. */
  covers(call: JudgedCall): boolean;
  /** Told once a judged call; an empty list is a call that would have passed. */
  judged(call: JudgedCall, refusals: readonly WouldBeRefusal[]): void;
}

/** The prototype that a handler was marked on. */
const REPORT_ONLY = Symbol('nestjs-zero-trust:report-only');

/**
 * Judges this handler without consequences, while an application introduces the kit: what would have been refused is
 * recorded and let through. THE HANDLER IS NOT PROTECTED by the kit until the mark is gone; the start says so.
 *
 * It counts for the class that it is written in: a subclass that inherits the handler refuses to start.
 */
export function ReportOnly(): <T>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<T>,
) => void {
  return (target, key, descriptor) => {
    if ((descriptor as unknown) === undefined || typeof descriptor.value !== 'function') {
      throw new TypeError(`@ReportOnly() belongs on a method, not on a class or property (${String(key)}).`);
    }
    Reflect.defineMetadata(REPORT_ONLY, target, descriptor.value);
  };
}

/** The prototype whose handler was marked so; read from the handler itself. */
export function reportOnlyMarkOf(handler: object): object | undefined {
  return Reflect.getOwnMetadata(REPORT_ONLY, handler) as object | undefined;
}
