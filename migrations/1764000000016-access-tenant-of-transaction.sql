-- A tenant counts in the transaction that it was entered in and nowhere else. A transaction is known by when it began: what
-- somebody leaves behind on a connection (SET without LOCAL, set_config(…, false)) is nobody's tenant in the next one, nor
-- for a statement outside of any.
CREATE OR REPLACE FUNCTION access.current_tenant() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE WHEN split_part(entered, ' ', 2) = extract(epoch FROM transaction_timestamp())::text
              THEN nullif(split_part(entered, ' ', 1), '') END
    FROM (SELECT current_setting('zero_trust.tenant', true)) AS setting (entered)
$$;

-- Enters a tenant for the rest of the transaction in hand; one that has entered another stays there.
CREATE FUNCTION access.enter_tenant(tenant text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF tenant IS NULL OR tenant !~ '^[A-Za-z0-9][A-Za-z0-9._~-]*$' OR length(tenant) > 120 THEN
    RAISE EXCEPTION 'malformed tenant' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF access.current_tenant() <> tenant THEN
    RAISE EXCEPTION 'the transaction has entered another tenant' USING ERRCODE = 'insufficient_privilege';
  END IF;
  PERFORM set_config('zero_trust.tenant', tenant || ' ' || extract(epoch FROM transaction_timestamp())::text, true);
END $$;
REVOKE ALL ON FUNCTION access.current_tenant(), access.enter_tenant(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION access.current_tenant(), access.enter_tenant(text) TO zt_app;
