import type { JudgedCall } from './judged-call.js';
import type { ReportOnlyMode, WouldBeRefusal } from './report-only.js';
import { PASSED, refusalIn, refusalOf, type Verdict } from './verdict.js';

/** How long a call that is let through anyway waits for checks that do not come to an end, all together. */
const PATIENCE_MS = 1_000;

interface NamedStage {
  readonly name: string;
  readonly judge: (call: JudgedCall) => Verdict | Promise<Verdict>;
}

/**
 * Asks every stage, tells what each would have refused, and lets the call through: it went through before. Whoever is
 * proved stands in the context; a stage that throws or takes too long could not be asked, which is a refusal too.
 */
export async function judgeWithoutConsequence(
  stages: readonly NamedStage[],
  call: JudgedCall,
  mode: ReportOnlyMode,
): Promise<Verdict> {
  const refusals: WouldBeRefusal[] = [];
  let timer: NodeJS.Timeout | undefined;
  const outOfPatience = new Promise<Verdict>((resolve) => {
    timer = setTimeout(() => {
      resolve(refusalOf(new Error('the checks took too long')));
    }, PATIENCE_MS);
  });
  for (const { name, judge } of stages) {
    // Who is asking is for the handler to know too: the host's own proof may take its time.
    const others = name === 'authenticate' ? [] : [outOfPatience];
    const refusal = await settled(() => Promise.race([judge(call), ...others]));
    if (refusal) refusals.push({ stage: name, refusal });
    // What comes after asks about the principal, and there is none.
    if (refusal && name === 'authenticate') break;
  }
  clearTimeout(timer);
  try {
    mode.judged(call, refusals);
  } catch {
    // Whoever counts must not be in the way of the call.
  }
  return PASSED;
}

async function settled(judge: () => Promise<unknown>): Promise<WouldBeRefusal['refusal'] | undefined> {
  try {
    return refusalIn(await judge());
  } catch (thrown) {
    return refusalOf(thrown);
  }
}
