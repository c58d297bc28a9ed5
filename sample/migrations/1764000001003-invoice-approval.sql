-- Who approved an invoice: once, and never who made it.
ALTER TABLE invoices.invoice
  ADD COLUMN approved_by uuid,
  ADD COLUMN approved_at timestamptz,
  ADD CONSTRAINT approved_by_another CHECK (approved_by <> created_by),
  ADD CONSTRAINT approved_whole CHECK ((approved_by IS NULL) = (approved_at IS NULL));

GRANT UPDATE (approved_by, approved_at) ON invoices.invoice TO zt_app;
