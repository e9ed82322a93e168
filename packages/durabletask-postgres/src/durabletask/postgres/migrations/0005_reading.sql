-- Reading instances and histories, and deleting instances that are finished or idle.

-- The columns of an instance as clients see them. Payloads are large, so they are left out on request.
CREATE FUNCTION instances_v1(p_hub integer, p_ids text[], p_payloads boolean) RETURNS TABLE (
    instance_id text, execution_id text, name text, version text, status text,
    created_at bigint, updated_at bigint, completed_at bigint, failure bytea, tags text,
    parent_id text, parked text, input text, output text, custom_status text
)
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
BEGIN
    RETURN QUERY
    SELECT i.instance_id, i.execution_id, i.name, i.version, i.status, i.created_at,
        updated_at(i.ordinal, i.recorded_at, i.created_at), i.completed_at, i.failure,
        i.tags::text, i.parent_id, i.parked,
        CASE WHEN p_payloads THEN i.input END, CASE WHEN p_payloads THEN i.output END,
        CASE WHEN p_payloads THEN i.custom_status END
    FROM instances AS i WHERE i.hub = p_hub AND i.instance_id = ANY (p_ids);
END $$;

-- The clock of an instance's last turn.
CREATE FUNCTION updated_at(p_ordinal bigint, p_recorded_at bigint, p_created_at bigint)
RETURNS bigint
LANGUAGE sql STABLE
RETURN coalesce(
    (SELECT h.recorded_at FROM history AS h WHERE h.instance = p_ordinal
        ORDER BY h.sequence DESC LIMIT 1),
    nullif(p_recorded_at, 0), p_created_at
);

-- Chunks of executions that are the current ones of their instances.
CREATE FUNCTION histories_v1(p_hub integer, p_ids text[], p_executions text[])
RETURNS TABLE (place bigint, chunk bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
BEGIN
    RETURN QUERY
    SELECT e.place, h.chunk
    FROM unnest(p_ids, p_executions) WITH ORDINALITY AS e (id, execution, place)
    JOIN instances AS i
        ON i.hub = p_hub AND i.instance_id = e.id AND i.execution_id = e.execution
    JOIN history AS h ON h.instance = i.ordinal
    ORDER BY e.place, h.sequence;
END $$;

-- The lane's instances among some ids, for a lane that does not remember them.
CREATE FUNCTION owned_v1(p_hub integer, p_lane bigint, p_ids text[])
RETURNS TABLE (instance_id text, ordinal bigint, execution_id text)
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
BEGIN
    RETURN QUERY
    SELECT i.instance_id, i.ordinal, i.execution_id FROM instances AS i
    WHERE i.hub = p_hub AND i.instance_id = ANY (p_ids) AND i.lane = p_lane AND i.lane <> 0;
END $$;

-- One page of a query, in the order of creation. What is NULL narrows nothing.
--
-- Ids that begin with @ are those of entities, and fit only a prefix that does too. The plan is made
-- for the values of each call, so what is said of the prefix is known to be true or false by then, and
-- what remains of the condition is that of one of the two indexes of creation: a page costs the same
-- whatever there is of the other half.
CREATE FUNCTION query_v1(
    p_hub integer, p_statuses text[], p_name text, p_prefix text, p_tags text,
    p_created_from bigint, p_created_to bigint, p_completed_from bigint, p_completed_to bigint,
    p_after_created bigint, p_after_id text, p_limit integer, p_payloads boolean
) RETURNS TABLE (
    instance_id text, execution_id text, name text, version text, status text,
    created_at bigint, updated_at bigint, completed_at bigint, failure bytea, tags text,
    parent_id text, parked text, input text, output text, custom_status text
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    RETURN QUERY
    SELECT i.instance_id, i.execution_id, i.name, i.version, i.status, i.created_at,
        updated_at(i.ordinal, i.recorded_at, i.created_at), i.completed_at, i.failure,
        i.tags::text, i.parent_id, i.parked,
        CASE WHEN p_payloads THEN i.input END, CASE WHEN p_payloads THEN i.output END,
        CASE WHEN p_payloads THEN i.custom_status END
    FROM instances AS i
    WHERE i.hub = p_hub
    AND (p_statuses IS NULL OR i.status = ANY (p_statuses))
    AND (p_name IS NULL OR i.name = p_name)
    AND starts_with(i.instance_id, '@') = coalesce(starts_with(p_prefix, '@'), false)
    AND (p_prefix IS NULL OR starts_with(i.instance_id, p_prefix))
    AND (p_tags IS NULL OR i.tags @> p_tags::jsonb)
    AND (p_created_from IS NULL OR i.created_at >= p_created_from)
    AND (p_created_to IS NULL OR i.created_at < p_created_to)
    AND (p_completed_from IS NULL OR i.completed_at >= p_completed_from)
    AND (p_completed_to IS NULL OR i.completed_at < p_completed_to)
    AND (p_after_created IS NULL OR (i.created_at, i.instance_id) > (p_after_created, p_after_id))
    ORDER BY i.created_at, i.instance_id
    LIMIT p_limit;
END $$;

-- Deletes the finished ones among some instances, and on request their finished descendants, which
-- are reached through what is deleted: those of an unfinished child stay. Returns how many.
CREATE FUNCTION purge_v1(p_hub integer, p_ids text[], p_recursive boolean) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_ids text[] := p_ids;
    v_found bigint[];
    v_doomed bigint[] := '{}';
    v_names text[];
BEGIN
    SELECT array_agg(f.ordinal), array_agg(f.instance_id) INTO v_found, v_names FROM (
        SELECT i.ordinal, i.instance_id FROM instances AS i
        WHERE i.hub = p_hub AND i.instance_id = ANY (v_ids) AND i.completed_at IS NOT NULL
        ORDER BY i.ordinal FOR UPDATE
    ) AS f;
    WHILE v_found IS NOT NULL LOOP
        v_doomed := v_doomed || v_found;
        EXIT WHEN NOT p_recursive;
        SELECT array_agg(f.ordinal), array_agg(f.instance_id) INTO v_found, v_names FROM (
            SELECT i.ordinal, i.instance_id FROM instances AS i
            WHERE i.hub = p_hub AND i.parent_id = ANY (v_names) AND i.completed_at IS NOT NULL
            AND i.ordinal <> ALL (v_doomed)
            ORDER BY i.ordinal FOR UPDATE
        ) AS f;
    END LOOP;
    PERFORM erase(v_doomed);
    RETURN cardinality(v_doomed);
END $$;

-- Deletes the idle ones among some instances; returns how many.
--
-- Of an instance that nobody owns, that is not parked and that has not finished, a NULL wake_at says
-- that it has had a turn in its execution, is not busy and has no message, visible or not: every change
-- of these writes its row. So a row that is locked is being changed and not idle; it is left out,
-- and this waits for nobody. One that has been changed since it was found is looked at again as it is
-- locked. Activities are queued by owners only, without a change of the row, so they are looked for
-- by a statement of its own, which sees what came with the last change.
--
-- From then on nothing can happen to these rows: a create of such an id waits at the unique index
-- until they are gone, and a message waits for the lock and finds no receiver. What becomes of
-- a batch that has met the instance before that, see expect_present().
CREATE FUNCTION purge_idle_v1(p_hub integer, p_ids text[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_locked bigint[];
    v_idle bigint[];
BEGIN
    SELECT array_agg(f.ordinal) INTO v_locked FROM (
        SELECT i.ordinal FROM instances AS i
        WHERE i.hub = p_hub AND i.instance_id = ANY (p_ids) AND i.lane = 0 AND i.wake_at IS NULL
        AND i.parked IS NULL AND i.status = 'PENDING'
        FOR UPDATE SKIP LOCKED
    ) AS f;
    SELECT array_agg(l.ordinal) INTO v_idle FROM unnest(v_locked) AS l (ordinal)
    WHERE NOT EXISTS (SELECT FROM activities AS a WHERE a.instance = l.ordinal);
    IF v_idle IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM erase(v_idle);
    RETURN cardinality(v_idle);
END $$;
