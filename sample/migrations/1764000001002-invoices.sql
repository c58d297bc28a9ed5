CREATE SCHEMA invoices;

CREATE TABLE invoices.invoice (
  id           uuid PRIMARY KEY,
  created_by   uuid NOT NULL,
  client_name  text NOT NULL CHECK (char_length(client_name) BETWEEN 1 AND 200),
  -- Sealed by the application; the first byte is the envelope's version, so plain text cannot slip in.
  iban         bytea NOT NULL CHECK (get_byte(iban, 0) = 1),
  amount_cents bigint NOT NULL CHECK (amount_cents BETWEEN 1 AND 100000000000),
  currency     char(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON invoices.invoice (created_by, id);

GRANT USAGE ON SCHEMA invoices TO zt_app;
GRANT SELECT, INSERT ON invoices.invoice TO zt_app;
