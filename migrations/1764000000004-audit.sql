-- Where every security event is written: in the transaction of the change that it records.
CREATE SCHEMA audit;
GRANT USAGE ON SCHEMA audit TO zt_app, zt_audit_sequencer;

CREATE TABLE audit.pending (
  id          uuid        NOT NULL, -- UUIDv7 made by the kit: 74 random bits, so that no proof gives its neighbour away
  log_id      smallint    NOT NULL DEFAULT 1,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  xid         xid8        NOT NULL DEFAULT pg_current_xact_id(), -- which transaction wrote it: audit.require_event asks
  -- The final OCSF JSON, stored and later hashed as these very bytes. At most what a tlog tile's uint16 length can say.
  -- It must parse: an application gone bad must not be able to write what blinds every reader after it.
  entry       bytea       NOT NULL CHECK (octet_length(entry) BETWEEN 2 AND 65535)
                                   CHECK (jsonb_typeof(convert_from(entry, 'UTF8')::jsonb) = 'object'),
  PRIMARY KEY (log_id, id)
);
CREATE INDEX pending_by_time ON audit.pending (log_id, recorded_at, id);
CREATE INDEX pending_by_transaction ON audit.pending (xid);

-- By column: the application chooses neither when nor in which transaction it wrote, and reads nothing back.
GRANT INSERT (id, log_id, entry) ON audit.pending TO zt_app;
GRANT SELECT ON audit.pending TO zt_audit_sequencer;

-- A seat belt against accidents, for the owner and for superusers too (who could take it off: that is what a witness is for).
-- Direct membership is asked for, because a superuser counts as a member of everything; and one that conveys rights,
-- because whoever made the group is a member that only administers it.
CREATE FUNCTION audit.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' AND EXISTS (
    SELECT FROM pg_auth_members m
    JOIN pg_roles r ON r.oid = m.roleid
    JOIN pg_roles u ON u.oid = m.member
    WHERE r.rolname = 'zt_audit_sequencer' AND u.rolname = session_user
  ) AND pg_has_role(session_user, 'zt_audit_sequencer', 'USAGE') THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION 'zt_audit: % of audit.pending is refused: the log is only ever appended to', TG_OP
    USING ERRCODE = 'ZT002';
END $$;
REVOKE ALL ON FUNCTION audit.refuse_change() FROM PUBLIC;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.pending
  FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
-- ALWAYS: holds under session_replication_role = replica as well.
ALTER TABLE audit.pending ENABLE ALWAYS TRIGGER append_only;

-- For deferred constraint triggers on tables that must never change silently: at commit, the same transaction must have
-- written an event. Definer, because the application may not read what it wrote. It holds although entries are moved on
-- later: what moves them cannot see an uncommitted row.
CREATE FUNCTION audit.require_event() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM audit.pending WHERE xid = pg_current_xact_id()) THEN
    RAISE EXCEPTION 'zt_audit: change of %.% without an audit event in the same transaction',
      TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'ZT001';
  END IF;
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION audit.require_event() FROM PUBLIC;
