-- Wrapped data keys. The master key is never here: without it every row is noise.
CREATE SCHEMA encryption;

CREATE TABLE encryption.data_key (
  key_id     uuid PRIMARY KEY,
  tenant_id  uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
  scope      text NOT NULL CHECK (scope IN ('tenant', 'table', 'subject', 'index')),
  -- The tenant's id, or `schema.table`.
  scope_id   text NOT NULL CHECK (scope_id <> ''),
  version    int  NOT NULL CHECK (version >= 1),
  -- What wrapped it: the fingerprint of the master key (scope 'tenant'), else the key_id of the tenant's key.
  kek_id     text NOT NULL CHECK (kek_id <> ''),
  -- 0x01 || nonce (24) || ciphertext (32) || tag (16). A destroyed key keeps its row and loses its bytes.
  wrapped    bytea NOT NULL CHECK (octet_length(wrapped) = CASE state WHEN 'destroyed' THEN 0 ELSE 73 END),
  state      text NOT NULL CHECK (state IN ('primary', 'decrypt_only', 'retired', 'destroyed')),
  -- The four bytes by which a sealed value names its key.
  short_id   int  NOT NULL CHECK (short_id > 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (tenant_id, scope, scope_id, version),
  UNIQUE (tenant_id, short_id)
);

CREATE UNIQUE INDEX one_primary ON encryption.data_key (tenant_id, scope, scope_id) WHERE state = 'primary';

GRANT USAGE ON SCHEMA encryption TO zt_app;
-- Keys are only ever added by the application: it can neither replace nor destroy what opens stored data.
GRANT SELECT, INSERT ON encryption.data_key TO zt_app;
