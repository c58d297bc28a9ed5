-- The newest entry stays, however old: by it a replica knows that the feed goes on where it was read last.
CREATE OR REPLACE FUNCTION freshness.purge() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  DELETE FROM freshness.feed
   WHERE created_at < clock_timestamp() - interval '75 minutes' AND seq < (SELECT seq FROM freshness.feed_head);
$$;

-- A grant that is given to somebody else by hand changes what both may do.
CREATE OR REPLACE FUNCTION access.tell_grants() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  who  text;
  told text;
BEGIN
  FOR who IN SELECT DISTINCT each::text FROM unnest(ARRAY[OLD.subject, NEW.subject]) AS each WHERE each IS NOT NULL
  LOOP
    told := pg_current_xact_id()::text || ':' || who;
    CONTINUE WHEN current_setting('zero_trust.told_grants', true) IS NOT DISTINCT FROM told;
    PERFORM freshness.append(ARRAY['grants'], ARRAY[who]);
    PERFORM set_config('zero_trust.told_grants', told, true);
  END LOOP;
  RETURN NULL;
END $$;
