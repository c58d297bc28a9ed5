/**
 * What an entry of the feed is about.
 * - `session`, `subject`, `client`: revoked; tokens minted before the entry are dead.
 * - `grants` (of a subject), `roles`, `keys`: changed; whoever remembers them asks again.
 */
export type FeedKind = 'session' | 'subject' | 'client' | 'grants' | 'roles' | 'keys';

/** One thing that was revoked or changed. */
export interface FeedEntry {
  readonly kind: FeedKind;
  /** The session's, subject's or client's id; `*` where there is no one thing. */
  readonly id: string;
}

export interface NumberedFeedEntry extends FeedEntry {
  readonly seq: number;
}
