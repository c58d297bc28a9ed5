/** What the model is told of time and room: short lives, so that few steps reach every end. */
export const LIMITS = {
  idleLifetimeSeconds: 1_000,
  absoluteLifetimeSeconds: 2_000,
  refreshRetrySeconds: 60,
  maxSessionsPerSubject: 3,
} as const;

/** How far what really passes in a test may be from what the model thinks: nothing. */
const SLACK_SECONDS = 30;

export interface ModelSession {
  readonly id: string;
  readonly subject: string;
  /** One refresh token a generation. */
  readonly tokens: string[];
  accessToken: string;
  /** Seconds since sign-in, since it was last seen, and since it came to its generation. */
  life: number;
  idle: number;
  rotated: number;
  /** Which step saw it last. */
  seenAt: number;
  ended: string | null;
}

/** A session as somebody would explain it: a list of tokens, three stop-watches, and a reason why it is over. */
export class SessionModel {
  readonly sessions: ModelSession[] = [];
  #step = 0;

  opened(id: string, subject: string, refreshToken: string, accessToken: string, life = 0): void {
    const seenAt = ++this.#step;
    const session = { id, subject, tokens: [refreshToken], accessToken, life, idle: 0, rotated: 0, seenAt };
    const others = this.sessions
      .filter((each) => each.subject === subject && !this.isOver(each))
      .sort((a, b) => a.idle - b.idle || b.seenAt - a.seenAt);
    for (const one of others.slice(LIMITS.maxSessionsPerSubject - 1)) one.ended = 'too-many-sessions';
    this.sessions.push({ ...session, ended: null });
  }

  rotatedTo(session: ModelSession, refreshToken: string, accessToken: string): void {
    session.tokens.push(refreshToken);
    Object.assign(session, { accessToken, idle: 0, rotated: 0, seenAt: ++this.#step });
  }

  get living(): ModelSession[] {
    return this.sessions.filter(({ ended }) => ended === null);
  }

  /** Mostly one that lives: of the dead there is less to tell. */
  pick(at: number): ModelSession {
    const living = this.sessions.filter((each) => !this.isOver(each));
    const among = at % 4 > 0 && living.length > 0 ? living : this.sessions;
    return among[at % among.length]!;
  }

  isDead({ ended, life }: ModelSession): boolean {
    return ended !== null || life >= LIMITS.absoluteLifetimeSeconds;
  }

  isOver(session: ModelSession): boolean {
    return this.isDead(session) || session.idle >= LIMITS.idleLifetimeSeconds;
  }

  /** Whether so much later it is still clear on which side of each limit a session stands. */
  isClearAfter({ life, idle, rotated }: ModelSession, seconds: number): boolean {
    const watches = [
      [life, LIMITS.absoluteLifetimeSeconds],
      [idle, LIMITS.idleLifetimeSeconds],
      [rotated, LIMITS.refreshRetrySeconds],
    ] as const;
    return watches.every(([now, limit]) => {
      const before = limit - (now + seconds);
      return before <= 0 || before > SLACK_SECONDS;
    });
  }

  age(session: ModelSession, seconds: number): void {
    session.life += seconds;
    session.idle += seconds;
    session.rotated += seconds;
  }
}
