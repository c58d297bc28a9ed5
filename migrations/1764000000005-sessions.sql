-- Proof: the keys that sign access tokens, and the sessions behind them. No token is ever stored: of a refresh token
-- only the hash of one half, and the other half is a MAC under a key that the database does not have.
CREATE SCHEMA sessions;
GRANT USAGE ON SCHEMA sessions TO zt_app;

CREATE TABLE sessions.signing_key (
  kid            text        PRIMARY KEY CHECK (kid ~ '^[A-Za-z0-9_-]{43}$'), -- RFC 7638: SHA-256 of the public key
  algorithm      text        NOT NULL CHECK (algorithm IN ('ES256')),
  -- For people who look at the table. The application derives the public key from the sealed private one.
  public_jwk     jsonb       NOT NULL CHECK (jsonb_typeof(public_jwk) = 'object' AND NOT public_jwk ? 'd'),
  private_sealed bytea       NOT NULL,
  state          text        NOT NULL CHECK (state IN ('next', 'active', 'retired')),
  created_at     timestamptz NOT NULL DEFAULT now(),
  activated_at   timestamptz,
  retired_at     timestamptz,
  CHECK (CASE state WHEN 'next' THEN activated_at IS NULL ELSE activated_at IS NOT NULL END),
  CHECK ((state = 'retired') = (retired_at IS NOT NULL))
);
CREATE UNIQUE INDEX one_active_signing_key ON sessions.signing_key (state) WHERE state = 'active';

-- Keys are only ever added by the application.
GRANT SELECT ON sessions.signing_key TO zt_app;
GRANT INSERT (kid, algorithm, public_jwk, private_sealed, state, activated_at) ON sessions.signing_key TO zt_app;

-- One row a session, also however often it is refreshed. The subject belongs to whatever identity the application has.
CREATE TABLE sessions.session (
  id           uuid        PRIMARY KEY, -- UUIDv7 made by the kit: in the order of opening
  subject      uuid        NOT NULL,
  client_id    text        NOT NULL CHECK (client_id ~ '^[\x21-\x7e]{1,128}$'),
  delivery     text        NOT NULL CHECK (delivery IN ('token', 'cookie')),
  acr          text        NOT NULL CHECK (acr IN ('aal1', 'aal2', 'aal3')),
  amr          text[]      NOT NULL CHECK (cardinality(amr) BETWEEN 1 AND 8),
  auth_time    timestamptz NOT NULL CHECK (auth_time = date_trunc('second', auth_time)),
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at   timestamptz NOT NULL CHECK (expires_at > created_at),
  -- Written at most once a minute, and by every refresh: what idleness is counted from.
  last_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Which refresh token of the family is the current one, since when, and the SHA-256 of what all of them share.
  generation   integer     NOT NULL DEFAULT 0 CHECK (generation >= 0),
  rotated_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  refresh_hash bytea       NOT NULL CHECK (octet_length(refresh_hash) = 32),
  -- Where it was opened from, for its owner's eyes: sealed, and absent where the application keeps no such data.
  client_sealed bytea,
  ended_at     timestamptz,
  ended_reason text        CHECK (ended_reason IN ('logout', 'ended-by-subject', 'ended-by-administrator',
                                                   'password-changed', 'factor-removed', 'stepped-up', 'signed-in-again', 'refresh-reuse',
                                                   'too-many-sessions', 'account-disabled', 'account-deleted')),
  CHECK ((ended_at IS NULL) = (ended_reason IS NULL))
);
CREATE INDEX session_by_subject ON sessions.session (subject) WHERE ended_at IS NULL;

-- By column: nobody changes whose session it is, how it was proved, or how long it lives; it can only be ended.
GRANT SELECT ON sessions.session TO zt_app;
GRANT INSERT (id, subject, client_id, delivery, acr, amr, auth_time, expires_at, refresh_hash, client_sealed)
  ON sessions.session TO zt_app;
GRANT UPDATE (ended_at, ended_reason, generation, rotated_at, last_seen_at) ON sessions.session TO zt_app;
