-- What proves an account beside its password. Factors are the account's own; nothing here opens anything alone.

-- A TOTP secret (RFC 6238). One that counts and one that is being enrolled may stand side by side, so that a new
-- telephone can be tried before the old one goes.
CREATE TABLE identity.totp (
  id           uuid        PRIMARY KEY, -- UUIDv7 made by the kit; also the row that the secret is sealed for
  account_id   uuid        NOT NULL REFERENCES identity.account (id) ON DELETE CASCADE,
  secret       bytea       NOT NULL CHECK (octet_length(secret) > 20), -- sealed, never the 160 bits themselves
  created_at   timestamptz NOT NULL DEFAULT now(),
  confirmed_at timestamptz,
  -- The latest time step whose code was used. It only grows: whoever raises it has used the code, nobody else has.
  last_step    bigint      NOT NULL DEFAULT 0 CHECK (last_step >= 0)
);
CREATE UNIQUE INDEX one_confirmed_totp ON identity.totp (account_id) WHERE confirmed_at IS NOT NULL;
CREATE UNIQUE INDEX one_pending_totp ON identity.totp (account_id) WHERE confirmed_at IS NULL;

GRANT SELECT, DELETE ON identity.totp TO zt_app;
GRANT INSERT (id, account_id, secret) ON identity.totp TO zt_app;
-- By column: a secret is never replaced in place, and never moved to another account.
GRANT UPDATE (confirmed_at, last_step) ON identity.totp TO zt_app;

-- Codes for whoever lost the device: keyed hashes, each good for once. A used one stays until the set is renewed.
CREATE TABLE identity.recovery_code (
  account_id uuid        NOT NULL REFERENCES identity.account (id) ON DELETE CASCADE,
  code_hash  bytea       NOT NULL CHECK (octet_length(code_hash) = 32),
  used_at    timestamptz,
  PRIMARY KEY (account_id, code_hash)
);
GRANT SELECT, DELETE ON identity.recovery_code TO zt_app;
GRANT INSERT (account_id, code_hash) ON identity.recovery_code TO zt_app;
GRANT UPDATE (used_at) ON identity.recovery_code TO zt_app;

-- A sign-in between its password and its second factor. It opens nothing by itself and is gone once it has.
CREATE TABLE identity.sign_in_challenge (
  token_hash    bytea       PRIMARY KEY CHECK (octet_length(token_hash) = 32), -- keyed hash: a dump answers none
  account_id    uuid        NOT NULL REFERENCES identity.account (id) ON DELETE CASCADE,
  delivery      text        NOT NULL CHECK (delivery IN ('token', 'cookie')),
  expires_at    timestamptz NOT NULL,
  attempts_left smallint    NOT NULL CHECK (attempts_left >= 0)
);
CREATE INDEX sign_in_challenge_by_account ON identity.sign_in_challenge (account_id);
CREATE INDEX sign_in_challenge_by_expiry ON identity.sign_in_challenge (expires_at);
GRANT SELECT, DELETE ON identity.sign_in_challenge TO zt_app;
GRANT INSERT (token_hash, account_id, delivery, expires_at, attempts_left) ON identity.sign_in_challenge TO zt_app;
GRANT UPDATE (attempts_left) ON identity.sign_in_challenge TO zt_app;

-- Factors never change silently. That a step was used is said by the session that it opened.
CREATE CONSTRAINT TRIGGER must_audit
  AFTER INSERT OR UPDATE OF id, account_id, secret, created_at, confirmed_at OR DELETE ON identity.totp
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit.require_event();
CREATE CONSTRAINT TRIGGER must_audit AFTER INSERT OR UPDATE OR DELETE ON identity.recovery_code
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit.require_event();
