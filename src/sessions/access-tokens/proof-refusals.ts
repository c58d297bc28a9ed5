import { Injectable } from '@nestjs/common';
import { SecurityEvents } from '../../core/security-events.js';
import { ZeroTrustError } from '../../core/zero-trust-error.js';
import { invalidToken, type TokenFault } from '../sessions.errors.js';

/**
 * Records refused proofs where a handler itself looks at them (refresh, logout): elsewhere the pipeline does. Whatever
 * listens counts repeated ones instead of keeping each.
 */
@Injectable()
export class ProofRefusals {
  constructor(private readonly events: SecurityEvents) {}

  /**
   * @param sessionId of the session that the proof belongs to, where that is beyond doubt
   * @throws ZeroTrustError `invalid-credentials`, always.
   */
  async refuse(fault: TokenFault, sessionId?: string): Promise<never> {
    const error = invalidToken(fault);
    await this.#record(error, sessionId);
    throw error;
  }

  /** Lets through what `work` gives; a proof that it refuses is recorded first. */
  async recording<T>(work: () => T | Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof ZeroTrustError && isOfProof(error)) await this.#record(error);
      throw error;
    }
  }

  #record({ code, detail }: ZeroTrustError, sessionId?: string): Promise<void> {
    return this.events.publish({
      action: 'authentication.refused',
      outcome: 'failure',
      delivery: 'detached',
      ...(sessionId !== undefined && { target: { type: 'session', id: sessionId } }),
      reason: detail,
      detail: { code },
    });
  }
}

const isOfProof = ({ status, code }: ZeroTrustError): boolean =>
  status === 401 || code === 'ambiguous-credentials';
