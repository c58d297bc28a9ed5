CREATE SCHEMA projects;

CREATE TABLE projects.project (
  id        uuid PRIMARY KEY,
  tenant_id text NOT NULL,
  name      text NOT NULL,
  -- For what hangs on it: PostgreSQL looks up a foreign key past every policy, so the tenant is a part of the key.
  UNIQUE (tenant_id, id)
);

CREATE TABLE projects.task (
  id         uuid PRIMARY KEY,
  tenant_id  text NOT NULL,
  project_id uuid NOT NULL,
  title      text NOT NULL,
  FOREIGN KEY (tenant_id, project_id) REFERENCES projects.project (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX ON projects.task (tenant_id, project_id);

-- FORCE: also for the owner. The SELECT is asked once a query instead of once a row.
ALTER TABLE projects.project ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE projects.task ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON projects.project
  USING (tenant_id = (SELECT access.current_tenant())) WITH CHECK (tenant_id = (SELECT access.current_tenant()));
CREATE POLICY tenant ON projects.task
  USING (tenant_id = (SELECT access.current_tenant())) WITH CHECK (tenant_id = (SELECT access.current_tenant()));

GRANT USAGE ON SCHEMA projects TO zt_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON projects.project, projects.task TO zt_app;
