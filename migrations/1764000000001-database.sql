-- Nothing is for everybody: what a role may do is granted to it by name.
REVOKE ALL ON SCHEMA public FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM PUBLIC;

-- The running service looks at boot whether every migration has been applied.
GRANT USAGE ON SCHEMA zero_trust TO zt_app, zt_audit_sequencer;
GRANT SELECT ON zero_trust.migration TO zt_app, zt_audit_sequencer;
