import { Injectable } from '@nestjs/common';

/** What an identity says of a subject that it knows. */
export type SubjectState = 'active' | 'disabled';

/** Knows the accounts of the application, whatever identity it has. */
export interface SubjectDirectory {
  /**
   * The state of each account; what is unknown is missing from the answer. Asked while roles and grants are locked:
   * read what is committed now, in the ambient transaction, and lock nothing.
   */
  statesOf(subjects: readonly string[]): Promise<ReadonlyMap<string, SubjectState>>;
}

/**
 * Who there is, as far as an identity tells. Without one every subject counts as active: what it cannot do, its
 * authenticator refuses.
 */
@Injectable()
export class Subjects {
  #directory: SubjectDirectory | undefined;

  /** Says who knows the accounts. @throws TypeError when somebody else said so before. */
  knownBy(directory: SubjectDirectory): void {
    if (this.#directory) throw new TypeError('Subjects.knownBy() was called twice: there is one identity.');
    this.#directory = directory;
  }

  async stateOf(subject: string): Promise<SubjectState | 'unknown'> {
    if (!this.#directory) return 'active';
    const id = subject.toLowerCase();
    return (await this.#directory.statesOf([id])).get(id) ?? 'unknown';
  }

  /** Those of them that can act. */
  async activeOf(subjects: ReadonlySet<string>): Promise<ReadonlySet<string>> {
    if (!this.#directory || subjects.size === 0) return subjects;
    const states = await this.#directory.statesOf([...subjects]);
    return new Set([...subjects].filter((subject) => states.get(subject) === 'active'));
  }
}
