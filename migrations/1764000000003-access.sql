-- Who may do what: roles with their permissions and hierarchy, and grants of roles to subjects.
CREATE SCHEMA access;
GRANT USAGE ON SCHEMA access TO zt_app;

CREATE TABLE access.role (
  name       text        PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9]*(-[a-z0-9]+)*$' AND length(name) <= 64),
  created_at timestamptz NOT NULL DEFAULT now()
);

-- A permission that the application no longer declares may stay here: it conveys nothing, and is reported.
CREATE TABLE access.role_permission (
  role       text NOT NULL REFERENCES access.role ON DELETE CASCADE,
  permission text NOT NULL CHECK (permission ~ '^[a-z][a-z0-9]*(-[a-z0-9]+)*:[a-z][a-z0-9]*(-[a-z0-9]+)*$' AND length(permission) <= 128),
  PRIMARY KEY (role, permission)
);

-- The role has what the inherited role has. That no cycle comes about is checked under the lock of every change.
CREATE TABLE access.role_inherits (
  role     text NOT NULL REFERENCES access.role ON DELETE CASCADE,
  inherits text NOT NULL REFERENCES access.role,
  PRIMARY KEY (role, inherits),
  CHECK (role <> inherits)
);
CREATE INDEX role_inherits_by_inherited ON access.role_inherits (inherits);

-- Whoever holds the role may grant that other one, without holding what it conveys.
CREATE TABLE access.role_may_grant (
  role      text NOT NULL REFERENCES access.role ON DELETE CASCADE,
  grantable text NOT NULL REFERENCES access.role ON DELETE CASCADE,
  PRIMARY KEY (role, grantable)
);
CREATE INDEX role_may_grant_by_grantable ON access.role_may_grant (grantable);

-- A grant is a record: it is ended, never removed, and outlives its role; hence no foreign key to access.role. One whose
-- role is gone conveys nothing, and a role is not deleted while a grant of it lives. The subject belongs to whatever
-- identity the application has.
CREATE TABLE access."grant" (
  id         uuid        PRIMARY KEY,
  subject    uuid        NOT NULL,
  role       text        NOT NULL CHECK (length(role) <= 64),
  reason     text        NOT NULL CHECK (length(btrim(reason)) > 0 AND length(reason) <= 500),
  granted_by text        NOT NULL CHECK (granted_by <> ''),
  created_at timestamptz NOT NULL DEFAULT now(),
  not_before timestamptz,
  expires_at timestamptz CHECK (expires_at > coalesce(not_before, created_at)),
  revoked_at timestamptz,
  revoked_by text        CHECK (revoked_by <> ''),
  CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);
CREATE INDEX grant_by_subject ON access."grant" (subject) WHERE revoked_at IS NULL;
CREATE INDEX grant_by_role ON access."grant" (role) WHERE revoked_at IS NULL;

GRANT SELECT ON access.role, access.role_permission, access.role_inherits, access.role_may_grant, access."grant" TO zt_app;
GRANT INSERT (name), DELETE ON access.role TO zt_app;
GRANT INSERT, DELETE ON access.role_permission, access.role_inherits, access.role_may_grant TO zt_app;
-- By column: nobody chooses when a grant was made, and a grant once made can only be ended.
GRANT INSERT (id, subject, role, reason, granted_by, not_before, expires_at) ON access."grant" TO zt_app;
GRANT UPDATE (revoked_at, revoked_by) ON access."grant" TO zt_app;
