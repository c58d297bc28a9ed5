-- What must never change silently: at commit the same transaction must have written a security event. Whoever changes
-- these by hand writes one too. Columns that say nothing about rights (when a source was last seen) stay out of it.
CREATE CONSTRAINT TRIGGER must_audit AFTER INSERT OR UPDATE OR DELETE ON access."grant"
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit.require_event();
CREATE CONSTRAINT TRIGGER must_audit AFTER INSERT OR UPDATE OR DELETE ON access.role
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit.require_event();
CREATE CONSTRAINT TRIGGER must_audit AFTER INSERT OR UPDATE OR DELETE ON access.role_permission
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit.require_event();
CREATE CONSTRAINT TRIGGER must_audit AFTER INSERT OR UPDATE OR DELETE ON access.role_inherits
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit.require_event();
CREATE CONSTRAINT TRIGGER must_audit AFTER INSERT OR UPDATE OR DELETE ON access.role_may_grant
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit.require_event();

CREATE CONSTRAINT TRIGGER must_audit AFTER INSERT OR UPDATE OR DELETE ON sessions.signing_key
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit.require_event();
CREATE CONSTRAINT TRIGGER must_audit
  AFTER INSERT OR UPDATE OF id, subject, client_id, delivery, acr, amr, auth_time, created_at, expires_at, refresh_hash,
    ended_at, ended_reason OR DELETE ON sessions.session
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit.require_event();

CREATE CONSTRAINT TRIGGER must_audit
  AFTER INSERT OR UPDATE OF id, email, canonical_email, password_hash, state, disabled_at OR DELETE ON identity.account
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit.require_event();
