CREATE SCHEMA documents;

CREATE TABLE documents.document (
  id         uuid PRIMARY KEY,
  owner_id   uuid NOT NULL,
  title      text NOT NULL CHECK (char_length(title) BETWEEN 1 AND 200),
  body       text NOT NULL CHECK (char_length(body) <= 20000),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON documents.document (owner_id, id);

CREATE TABLE documents.share (
  document_id uuid NOT NULL REFERENCES documents.document ON DELETE CASCADE,
  account_id  uuid NOT NULL,
  access      text NOT NULL CHECK (access IN ('read', 'write')),
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (document_id, account_id)
);
CREATE INDEX ON documents.share (account_id, document_id);

GRANT USAGE ON SCHEMA documents TO zt_app;
GRANT SELECT, INSERT, DELETE, UPDATE (title, body, updated_at) ON documents.document TO zt_app;
GRANT SELECT, INSERT, UPDATE (access) ON documents.share TO zt_app;
