-- What was revoked or changed, in one strict order, for every replica: small, and gone once no token is old enough to care.
CREATE SCHEMA freshness;
GRANT USAGE ON SCHEMA freshness TO zt_app;

-- One row. Who appends holds its lock until COMMIT, so that the order of commits is the order of numbers: a reader that
-- has seen a number has seen every lower one, and there are no holes.
CREATE TABLE freshness.feed_head (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  seq bigint  NOT NULL
);
INSERT INTO freshness.feed_head (seq) VALUES (0);

CREATE TABLE freshness.feed (
  seq        bigint      PRIMARY KEY,
  kind       text        NOT NULL CHECK (kind IN ('session', 'subject', 'client', 'grants', 'roles', 'keys')),
  id         text        NOT NULL CHECK (octet_length(id) BETWEEN 1 AND 128),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX feed_by_time ON freshness.feed (created_at);

GRANT SELECT ON freshness.feed_head, freshness.feed TO zt_app;

-- Definer: the application may only ever add to the feed, and never takes back what it said.
CREATE FUNCTION freshness.append(kinds text[], ids text[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE last bigint;
BEGIN
  UPDATE freshness.feed_head SET seq = seq + cardinality(kinds) RETURNING seq INTO STRICT last;
  INSERT INTO freshness.feed (seq, kind, id)
    SELECT last - cardinality(kinds) + each.n, each.kind, each.id
      FROM unnest(kinds, ids) WITH ORDINALITY AS each (kind, id, n);
  -- A hint to look at once; what counts is in the table.
  PERFORM pg_notify('zero_trust_feed', last::text);
  RETURN last;
END $$;

-- Entries are older by an hour than the longest-lived token (15 minutes) when they go.
CREATE FUNCTION freshness.purge() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  DELETE FROM freshness.feed WHERE created_at < clock_timestamp() - interval '75 minutes';
$$;
REVOKE ALL ON FUNCTION freshness.append(text[], text[]), freshness.purge() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION freshness.append(text[], text[]), freshness.purge() TO zt_app;
