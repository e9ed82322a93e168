-- Who may do what. Nobody but the owner touches a table: all others call functions that run with the
-- owner's rights, and readers select from a view. What a function takes are values; none of it
-- becomes text of a statement, except a role's name in grant_access, quoted.

-- Settings of all functions that run with the owner's rights. The path, so that nobody can slip them
-- tables or operators of his own. And plans that are made once, for the indexes: they are made while
-- tables are small, and used when they are large.
CREATE FUNCTION pin_functions() RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    v_function regprocedure;
    v_config text[];
BEGIN
    FOR v_function, v_config IN
        SELECT oid::regprocedure, coalesce(proconfig, '{}') FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace AND prosecdef
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path FROM CURRENT', v_function);
        EXECUTE format('ALTER FUNCTION %s SET enable_seqscan = off', v_function);
        EXECUTE format('ALTER FUNCTION %s SET enable_hashjoin = off', v_function);
        EXECUTE format('ALTER FUNCTION %s SET enable_mergejoin = off', v_function);
        EXECUTE format('ALTER FUNCTION %s SET jit = off', v_function);
        IF array_to_string(v_config, ' ') NOT LIKE '%plan_cache_mode%' THEN
            EXECUTE format(
                'ALTER FUNCTION %s SET plan_cache_mode = force_generic_plan', v_function
            );
        END IF;
    END LOOP;
END $$;

CREATE TABLE grants (
    role name PRIMARY KEY,
    access text NOT NULL CHECK (access IN ('worker', 'client', 'reader'))
);

-- Grants anew what the table says; every migration ends with it.
CREATE FUNCTION grant_all() RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    v_schema text := current_schema();
    v_role name;
    v_access text;
    v_function regprocedure;
    v_clients text[] := ARRAY[
        'version_v1', 'hub_v1', 'ordinals_v1', 'open_lane_v1', 'renew_lane_v1', 'close_lane_v1',
        'submit_v1', 'start_v1', 'resolve_v1', 'instances_v1', 'histories_v1', 'query_v1',
        'purge_v1', 'purge_idle_v1', 'rewind_v1'
    ];
BEGIN
    DELETE FROM grants WHERE role NOT IN (SELECT rolname FROM pg_roles);
    FOR v_role, v_access IN SELECT role, access FROM grants LOOP
        EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA %I FROM %I', v_schema, v_role);
        EXECUTE format('REVOKE ALL ON %I.orchestrations FROM %I', v_schema, v_role);
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', v_schema, v_role);
        IF v_access = 'reader' THEN
            EXECUTE format('GRANT SELECT ON %I.orchestrations TO %I', v_schema, v_role);
            CONTINUE;
        END IF;
        FOR v_function IN
            SELECT p.oid::regprocedure FROM pg_proc AS p
            WHERE p.pronamespace = v_schema::regnamespace AND p.prosecdef
            AND (v_access = 'worker' OR p.proname = ANY (v_clients))
        LOOP
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', v_function, v_role);
        END LOOP;
    END LOOP;
END $$;

-- Lets a role work ('worker'), start, signal, read and purge ('client'), or look ('reader').
CREATE FUNCTION grant_access(p_role name, p_access text) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO grants (role, access) VALUES (p_role, p_access)
    ON CONFLICT (role) DO UPDATE SET access = excluded.access;
    PERFORM grant_all();
END $$;
