-- Rotation of the keys that sign access tokens.

ALTER TABLE sessions.signing_key
  DROP CONSTRAINT signing_key_algorithm_check,
  DROP CONSTRAINT signing_key_public_jwk_check,
  DROP CONSTRAINT signing_key_check,
  DROP CONSTRAINT signing_key_check1;

-- Until when a retired key is still published and accepted: the last token signed with it has ended by then.
ALTER TABLE sessions.signing_key ADD COLUMN accepted_until timestamptz;
-- The owner is no exception to this, but a column that did not exist has no history to record.
ALTER TABLE sessions.signing_key DISABLE TRIGGER must_audit;
UPDATE sessions.signing_key SET accepted_until = retired_at WHERE state = 'retired';
ALTER TABLE sessions.signing_key ENABLE TRIGGER must_audit;

ALTER TABLE sessions.signing_key
  -- Not when the transaction began: it may have waited for another one, and from here on the publication counts.
  ALTER COLUMN created_at SET DEFAULT clock_timestamp(),
  ADD CONSTRAINT known_algorithm CHECK (algorithm IN ('ES256', 'PS256', 'RS256')),
  ADD CONSTRAINT public_members_only CHECK (jsonb_typeof(public_jwk) = 'object'
    AND NOT public_jwk ?| ARRAY['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']),
  ADD CONSTRAINT times_of_state CHECK (CASE state
    WHEN 'next'   THEN activated_at IS NULL AND retired_at IS NULL AND accepted_until IS NULL
    WHEN 'active' THEN activated_at IS NOT NULL AND retired_at IS NULL AND accepted_until IS NULL
    -- One that was never used may be given up too.
    ELSE retired_at IS NOT NULL AND accepted_until IS NOT NULL END);
CREATE UNIQUE INDEX one_next_signing_key ON sessions.signing_key (state) WHERE state = 'next';

-- next → active → retired, never back; and what is accepted for a while yet can end sooner, never later. Whoever can
-- write as the application cannot bring back a key that was given up because it had leaked.
CREATE FUNCTION sessions.only_forward() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF (OLD.state, NEW.state) NOT IN (('next', 'next'), ('next', 'active'), ('next', 'retired'),
                                    ('active', 'active'), ('active', 'retired'), ('retired', 'retired'))
     OR NEW.accepted_until > OLD.accepted_until THEN
    RAISE EXCEPTION 'zt_sessions: a signing key goes from next to active to retired, never back'
      USING ERRCODE = 'ZT003';
  END IF;
  RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION sessions.only_forward() FROM PUBLIC;
CREATE TRIGGER only_forward BEFORE UPDATE ON sessions.signing_key
  FOR EACH ROW EXECUTE FUNCTION sessions.only_forward();

-- By column: neither the key, nor its name, nor since when it is published can be changed; and none can be deleted.
GRANT UPDATE (state, activated_at, retired_at, accepted_until) ON sessions.signing_key TO zt_app;
