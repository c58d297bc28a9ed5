import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { BootError, ZeroTrustError } from '../../core/zero-trust-error.js';
import { AccessSettings } from '../access.settings.js';
import { isScope, kindOf } from './scope.js';

/** Knows the objects of one kind of scope: the application's tenants, its projects. */
export interface ScopeDirectory {
  /**
   * Whether there is one with this very id, letter by letter: a grant for `7A` counts for no project `7a`. Asked before a
   * grant is made, in its transaction, while no other right can be changed: lock nothing, and answer within seconds.
   */
  exists(id: string): Promise<boolean>;
}

/** Which scopes there are. Every declared kind has somebody who knows: a grant in a scope of nothing would wait for it. */
@Injectable()
export class Scopes implements OnApplicationBootstrap {
  readonly #directories = new Map<string, ScopeDirectory>();

  constructor(private readonly settings: AccessSettings) {}

  /** Says who knows the scopes of a kind. @throws TypeError when the kind is not declared, or somebody said so before. */
  knownBy(kind: string, directory: ScopeDirectory): void {
    if (!this.settings.scopes.includes(kind)) {
      throw new TypeError(`Scopes.knownBy(): "${kind}" is not declared; add it to AccessModule's "scopes".`);
    }
    if (this.#directories.has(kind)) throw new TypeError(`Scopes.knownBy("${kind}", …) was called twice.`);
    this.#directories.set(kind, directory);
  }

  /**
   * What is wrong with a scope that somebody wants to grant in, in words for them; undefined when nothing is.
   *
   * @throws ZeroTrustError `temporarily-unavailable` when whoever knows does not say: what cannot be known is not granted.
   */
  async faultOf(scope: string): Promise<string | undefined> {
    if (!isScope(scope)) return 'must be kind:id, e.g. project:7';
    const directory = this.#directories.get(kindOf(scope));
    if (!directory) return 'must be of a kind that the application declares';
    const exists = await answered(directory, scope.slice(kindOf(scope).length + 1));
    return exists === true ? undefined : 'must name one that exists';
  }

  onApplicationBootstrap(): void {
    const unknown = this.settings.scopes.filter((kind) => !this.#directories.has(kind));
    if (unknown.length === 0) return;
    throw new BootError(
      'AccessModule',
      unknown.map(
        (kind) =>
          `scopes names "${kind}", and nobody knows which there are: call Scopes.knownBy('${kind}', { exists }) ` +
          'in a constructor of your application',
      ),
    );
  }
}

const TIMEOUT_MS = 5_000;

async function answered(directory: ScopeDirectory, id: string): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`the answer took longer than ${TIMEOUT_MS} ms`));
    }, TIMEOUT_MS);
  });
  try {
    return await Promise.race([directory.exists(id), late]);
  } catch (cause) {
    const detail = 'whether the scope exists could not be asked';
    throw new ZeroTrustError('temporarily-unavailable', { detail, cause });
  } finally {
    clearTimeout(timer);
  }
}
