import { insufficientAssurance, meetsAssurance } from './assurance.js';
import type { Clock } from './clock.js';
import { PASSED, refused, type JudgedCall, type Stage, type Verdict } from './pipeline.js';

/** The last question: is it proved as surely, and as lately, as this handler demands? Asked of whoever else may. */
export class AssureStage implements Stage {
  readonly name = 'assure';

  constructor(private readonly clock: Clock) {}

  judge({ policy, context }: JudgedCall): Verdict {
    const demand = policy.kind === 'public' || policy.kind === 'undeclared' ? undefined : policy.assurance;
    if (!demand || meetsAssurance(context.principal, demand, this.clock.nowSeconds())) return PASSED;
    const error = insufficientAssurance(demand);
    return refused(error.detail, error);
  }
}
