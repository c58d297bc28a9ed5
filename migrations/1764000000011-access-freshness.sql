-- Whatever changes a grant or a role tells every replica, whoever does it: also by hand. Deferred, so that the lock of the
-- feed is held no longer than the COMMIT takes; one entry a transaction and subject, however many rows it changes.
CREATE FUNCTION access.tell_grants() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  who  text := (CASE TG_OP WHEN 'DELETE' THEN OLD.subject ELSE NEW.subject END)::text;
  told text := pg_current_xact_id()::text || ':' || who;
BEGIN
  IF current_setting('zero_trust.told_grants', true) IS DISTINCT FROM told THEN
    PERFORM freshness.append(ARRAY['grants'], ARRAY[who]);
    PERFORM set_config('zero_trust.told_grants', told, true);
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION access.tell_roles() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE told text := pg_current_xact_id()::text;
BEGIN
  IF current_setting('zero_trust.told_roles', true) IS DISTINCT FROM told THEN
    PERFORM freshness.append(ARRAY['roles'], ARRAY['*']);
    PERFORM set_config('zero_trust.told_roles', told, true);
  END IF;
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION access.tell_grants(), access.tell_roles() FROM PUBLIC;

CREATE CONSTRAINT TRIGGER tell_replicas AFTER INSERT OR UPDATE OR DELETE ON access."grant"
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION access.tell_grants();
CREATE CONSTRAINT TRIGGER tell_replicas AFTER INSERT OR UPDATE OR DELETE ON access.role_permission
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION access.tell_roles();
CREATE CONSTRAINT TRIGGER tell_replicas AFTER INSERT OR UPDATE OR DELETE ON access.role_inherits
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION access.tell_roles();
