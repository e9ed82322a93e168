-- Putting rewound instances in the place of what has failed: all of them, or none.
--
-- No lane has to be fenced: a finished instance has no owner, and only its own rows say so, which are
-- locked here in the order of their ordinals before they are looked at, as a purge and a start that
-- replaces do. Of several that want the same instance the first changes its execution, and the
-- others, once they have the lock, find another one than they expect. An id that is expected to be
-- free is kept by the unique index.
--
-- Parameters by their first letter: c instances, h turns of their histories, m their messages.
-- Returns whether anything was written.
CREATE FUNCTION rewind_v1(
    p_hub integer,
    c_ordinal bigint[], c_expected text[], c_id text[], c_execution text[], c_name text[],
    c_version text[], c_input text[], c_tags text[], c_parent_id text[], c_parent text[],
    c_created_at bigint[], c_start_at bigint[], c_status text[], c_custom_status text[],
    c_recorded_at bigint[],
    h_instance bigint[], h_sequence integer[], h_recorded_at bigint[], h_chunk bytea[],
    m_instance bigint[], m_visible_at bigint[], m_bound boolean[], m_urgent boolean[],
    m_body bytea[]
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_now bigint := microseconds();
    v_former bigint[];
BEGIN
    PERFORM FROM instances
    WHERE hub = p_hub AND instance_id = ANY (c_id) ORDER BY ordinal FOR UPDATE;
    IF EXISTS (
        SELECT FROM unnest(c_id, c_expected) AS c (id, expected)
        LEFT JOIN instances AS i ON i.hub = p_hub AND i.instance_id = c.id
        WHERE i.execution_id IS DISTINCT FROM c.expected
        OR (i.ordinal IS NOT NULL AND i.completed_at IS NULL)
    ) THEN
        RETURN false;
    END IF;
    SELECT array_agg(ordinal) INTO v_former FROM instances
    WHERE hub = p_hub AND instance_id = ANY (c_id);
    PERFORM erase(v_former);
    INSERT INTO instances (
        ordinal, hub, lane, freed_at, start_at, created_at, recorded_at, status, instance_id,
        execution_id, name, version, parent_id, parent, tags, custom_status, input
    )
    SELECT c.ordinal, p_hub, 0, v_now, c.start_at, c.created_at, c.recorded_at, c.status, c.id,
        c.execution, c.name, c.version, c.parent_id, c.parent, c.tags::jsonb, c.custom_status,
        c.input
    FROM unnest(
        c_ordinal, c_id, c_execution, c_name, c_version, c_input, c_tags, c_parent_id, c_parent,
        c_created_at, c_start_at, c_status, c_custom_status, c_recorded_at
    ) AS c (
        ordinal, id, execution, name, version, input, tags, parent_id, parent,
        created_at, start_at, status, custom_status, recorded_at
    )
    ORDER BY c.id;
    INSERT INTO history
    SELECT * FROM unnest(h_instance, h_sequence, h_recorded_at, h_chunk);
    INSERT INTO inbox (instance, lane, visible_at, bound, urgent, body)
    SELECT m.instance, 0, CASE WHEN m.visible_at = 0 THEN v_now ELSE m.visible_at END, m.bound,
        m.urgent, m.body
    FROM unnest(m_instance, m_visible_at, m_bound, m_urgent, m_body)
        WITH ORDINALITY AS m (instance, visible_at, bound, urgent, body, position)
    ORDER BY m.position;
    PERFORM rewake(c_ordinal);
    RETURN true;
EXCEPTION
    -- Somebody has just created what was expected to be missing. This undoes the rest.
    WHEN unique_violation THEN RETURN false;
END $$;
