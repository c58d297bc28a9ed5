-- Where a grant counts: kind:id, or everywhere. Which kinds there are, code declares; one that it does not know conveys nothing.
ALTER TABLE access."grant" ADD COLUMN scope text
  CHECK (scope ~ '^[a-z][a-z0-9]*(-[a-z0-9]+)*:[A-Za-z0-9][A-Za-z0-9._~-]*$' AND length(scope) <= 128);
GRANT INSERT (scope) ON access."grant" TO zt_app;

-- The tenant of the transaction in hand, for policies of row-level security: USING (tenant_id = access.current_tenant()).
-- Set by the unit of work for its transaction alone; NULL elsewhere, which equals no tenant.
CREATE FUNCTION access.current_tenant() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
  SELECT nullif(current_setting('zero_trust.tenant', true), '')
$$;
