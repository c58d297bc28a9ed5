-- Who: accounts that sign in with a password. Nothing is seeded: the first account comes from the command line.
CREATE SCHEMA identity;
GRANT USAGE ON SCHEMA identity TO zt_app;

CREATE TABLE identity.account (
  id              uuid        PRIMARY KEY, -- UUIDv7 made by the kit: in the order of creation
  email           text        NOT NULL CHECK (octet_length(email) <= 254),
  -- One mailbox, one account: the form that src/identity/email-address.ts gives, whatever case was typed.
  canonical_email text        NOT NULL
    CONSTRAINT account_canonical_email_key UNIQUE
    CHECK (canonical_email = lower(email COLLATE "C"))
    CHECK (canonical_email ~ '^[a-z0-9!#$%&''*+/=?^_`{|}~.-]{1,64}@[a-z0-9.-]{1,253}$'),
  display_name    text        NOT NULL CHECK (char_length(display_name) BETWEEN 1 AND 100),
  -- A PHC string: its shape only. What it may cost is judged before it is computed.
  password_hash   text        NOT NULL CHECK (password_hash ~ '^\$argon2id\$v=19\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$'),
  state           text        NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled')),
  created_at      timestamptz NOT NULL DEFAULT now(),
  disabled_at     timestamptz,
  CHECK ((state = 'disabled') = (disabled_at IS NOT NULL))
);

-- By column: neither an address nor an id can be changed, and nobody is deleted by the application.
GRANT SELECT ON identity.account TO zt_app;
GRANT INSERT (id, email, canonical_email, display_name, password_hash) ON identity.account TO zt_app;
GRANT UPDATE (state, disabled_at, password_hash) ON identity.account TO zt_app;

-- From where an account signed in lately: there its owner gets in while others use up the limit of the account.
CREATE TABLE identity.known_source (
  account_id   uuid        NOT NULL REFERENCES identity.account (id) ON DELETE CASCADE,
  source       bytea       NOT NULL CHECK (octet_length(source) = 32), -- keyed hash: no address is stored
  last_seen_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (account_id, source)
);
GRANT SELECT, DELETE ON identity.known_source TO zt_app;
GRANT INSERT (account_id, source) ON identity.known_source TO zt_app;
GRANT UPDATE (last_seen_at) ON identity.known_source TO zt_app;
