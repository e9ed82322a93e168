-- Finding work and handing it out.

-- What may be claimed: the oldest due instances of each known name, the oldest suspect of each, all of
-- them of versions that are not refused ('' is none, and names with @ are not asked for theirs), and
-- whoever has urgent mail. Locks the rows it gives; those that somebody else has locked are skipped,
-- so two polls never wait for each other and never get the same.
CREATE FUNCTION due(
    p_hub integer, p_now bigint, p_names text[], p_refused text[], p_room integer,
    p_probation integer
) RETURNS TABLE (ordinal bigint, due_at bigint, is_suspect boolean)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    SELECT d.ordinal, d.wake_at, false
    FROM unnest(p_names) AS known (name) CROSS JOIN LATERAL (
        SELECT i.ordinal, i.wake_at FROM instances AS i
        WHERE i.hub = p_hub AND i.name = known.name AND i.lane = 0 AND i.wake_at <= p_now
        AND i.crashes < p_probation
        AND (coalesce(i.version, '') <> ALL (p_refused) OR known.name LIKE '@%')
        ORDER BY i.wake_at, i.ordinal LIMIT p_room FOR UPDATE SKIP LOCKED
    ) AS d;
    RETURN QUERY
    SELECT d.ordinal, d.wake_at, true
    FROM unnest(p_names) AS known (name) CROSS JOIN LATERAL (
        SELECT i.ordinal, i.wake_at FROM instances AS i
        WHERE i.hub = p_hub AND i.name = known.name AND i.lane = 0 AND i.wake_at <= p_now
        AND i.crashes > 0 AND i.crashes >= p_probation
        AND (coalesce(i.version, '') <> ALL (p_refused) OR known.name LIKE '@%')
        ORDER BY i.wake_at, i.ordinal LIMIT 1 FOR UPDATE SKIP LOCKED
    ) AS d;
    RETURN QUERY
    SELECT i.ordinal, m.visible_at, i.crashes >= p_probation
    FROM inbox AS m JOIN instances AS i ON i.ordinal = m.instance
    WHERE m.urgent AND m.lane = 0 AND m.visible_at <= p_now
    AND i.hub = p_hub AND i.lane = 0 AND i.wake_at IS NOT NULL
    ORDER BY m.visible_at LIMIT p_room FOR UPDATE OF i SKIP LOCKED;
END $$;

-- Whether due() would find anything, without a lock.
CREATE FUNCTION is_due(p_hub integer, p_now bigint, p_names text[], p_refused text[])
RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM unnest(p_names) AS known (name) CROSS JOIN LATERAL (
            SELECT FROM instances AS i
            WHERE i.hub = p_hub AND i.name = known.name AND i.lane = 0 AND i.wake_at <= p_now
            AND (coalesce(i.version, '') <> ALL (p_refused) OR known.name LIKE '@%')
            LIMIT 1
        ) AS d
    ) OR EXISTS (
        SELECT FROM inbox AS m JOIN instances AS i ON i.ordinal = m.instance
        WHERE m.urgent AND m.lane = 0 AND m.visible_at <= p_now
        AND i.hub = p_hub AND i.lane = 0 AND i.wake_at IS NOT NULL
    );
END $$;

-- When the next message of an owned instance, or the next instance that the lane could claim,
-- becomes due.
CREATE FUNCTION next_due(
    p_hub integer, p_lane bigint, p_now bigint, p_names text[], p_refused text[]
) RETURNS bigint
LANGUAGE plpgsql AS $$
BEGIN
    RETURN least(
        (SELECT min(visible_at) FROM inbox WHERE lane = p_lane AND lane <> 0
            AND visible_at > p_now),
        (SELECT min(d.wake_at)
            FROM unnest(p_names) AS known (name) CROSS JOIN LATERAL (
                SELECT i.wake_at FROM instances AS i
                WHERE i.hub = p_hub AND i.name = known.name AND i.lane = 0 AND i.wake_at > p_now
                AND (coalesce(i.version, '') <> ALL (p_refused) OR known.name LIKE '@%')
                ORDER BY i.wake_at LIMIT 1
            ) AS d),
        (SELECT min(visible_at) FROM inbox WHERE urgent AND lane = 0 AND visible_at > p_now)
    );
END $$;

-- Gives instances to a lane, with their messages. The rows are locked by due().
CREATE FUNCTION claim_instances(
    p_hub integer, p_lane bigint, p_number bigint, p_now bigint, p_names text[],
    p_refused text[], p_room integer, p_suspects boolean, p_probation integer
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_chosen bigint[];
    v_due_at bigint[];
BEGIN
    -- The oldest of what is due, with no more suspects than one poll may hand out.
    WITH found AS (
        SELECT d.ordinal, min(d.due_at) AS due_at, d.is_suspect
        FROM due(p_hub, p_now, p_names, p_refused, p_room, p_probation) AS d
        GROUP BY d.ordinal, d.is_suspect
    ), ranked AS (
        SELECT f.*, row_number() OVER (PARTITION BY is_suspect ORDER BY due_at, ordinal) AS rank
        FROM found AS f
    )
    SELECT array_agg(ordinal), array_agg(due_at) INTO v_chosen, v_due_at FROM (
        SELECT ordinal, due_at FROM ranked
        WHERE NOT is_suspect OR (p_suspects AND rank = 1)
        ORDER BY due_at, ordinal LIMIT p_room
    ) AS chosen;
    IF v_chosen IS NOT NULL THEN
        -- From here on wake_at only keeps the order in which they are handed out.
        UPDATE instances AS i SET
            lane = p_lane, claim = p_number, suspect = i.crashes >= p_probation,
            wake_at = chosen.due_at
        FROM unnest(v_chosen, v_due_at) AS chosen (ordinal, due_at)
        WHERE i.ordinal = chosen.ordinal;
        UPDATE inbox SET lane = p_lane WHERE instance = ANY (v_chosen);
    END IF;
END $$;

-- Gives activities of the shared queue to a lane, the oldest first.
CREATE FUNCTION claim_activities(
    p_hub integer, p_lane bigint, p_number bigint, p_names text[], p_slots integer
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE activities AS a SET lane = p_lane, claim = p_number, token = a.token + 1
    FROM (
        SELECT d.activity_id
        FROM unnest(p_names) AS known (name) CROSS JOIN LATERAL (
            SELECT q.activity_id FROM activities AS q
            WHERE q.hub = p_hub AND q.name = known.name AND q.lane = 0
            ORDER BY q.activity_id LIMIT p_slots FOR UPDATE SKIP LOCKED
        ) AS d
        ORDER BY d.activity_id LIMIT p_slots
    ) AS chosen
    WHERE a.activity_id = chosen.activity_id;
END $$;

-- Reads the inboxes of what a lane owns, and claims what is due.
--
-- The first row has no kind; its `id` is the time and its `start_at` the next instant at which
-- something becomes due. The kinds of the others: 'inbox' is a message of an instance that was
-- owned before, 'instance' a claimed one, 'message' one of a claimed instance (`ordinal`), 'activity'
-- a claimed activity.
--
-- p_number counts the polls of the lane, p_acked is the last one whose answer has arrived. What a
-- later one has claimed is handed out again; that is how nothing is lost with an answer. p_firm: the
-- last answer was lost, so its request may still be on its way. This poll then writes down its own
-- number, and one with a lower number claims nothing any more.
--
-- A poll that has nothing to claim writes nothing and locks nothing.
--
-- Whoever finishes a queued activity deletes it and delivers its outcome in one transaction, under
-- the lock of the receiver's row, which due() holds from here on: so that transaction is visible as
-- a whole or not at all to the statements below, though they are several.
CREATE FUNCTION poll_v1(
    p_hub integer, p_lane bigint, p_epoch bigint, p_number bigint, p_acked bigint,
    p_firm boolean, p_orchestrations text[], p_activities text[], p_room integer,
    p_slots integer, p_suspects boolean, p_probation integer, p_refused text[]
) RETURNS TABLE (
    kind text, id bigint, ordinal bigint, instance_id text, execution_id text, name text,
    body bytea, version text, status text, input text, tags text, parent text, start_at bigint,
    created_at bigint, sequence integer, recorded_at bigint, busy boolean, crashes integer,
    task_id integer, token bigint, queued integer[]
)
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_now bigint := microseconds();
    v_due boolean := p_room > 0 AND is_due(p_hub, v_now, p_orchestrations, p_refused);
    v_queued boolean := p_slots > 0 AND EXISTS (
        SELECT FROM unnest(p_activities) AS known (name)
        JOIN LATERAL (
            SELECT FROM activities AS a
            WHERE a.hub = p_hub AND a.name = known.name AND a.lane = 0 LIMIT 1
        ) AS waiting ON true
    );
BEGIN
    IF v_due OR v_queued OR p_firm THEN
        UPDATE lanes AS l SET polled = p_number
        WHERE l.lane_id = p_lane AND l.epoch = p_epoch AND l.hub = p_hub AND l.polled < p_number;
    ELSE
        PERFORM FROM lanes AS l
        WHERE l.lane_id = p_lane AND l.epoch = p_epoch AND l.hub = p_hub;
    END IF;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'lane % may not poll under epoch %', p_lane, p_epoch
            USING ERRCODE = 'DT001';
    END IF;

    RETURN QUERY
    SELECT 'inbox', m.message_id, NULL::bigint, i.instance_id, NULL, NULL, m.body, NULL, NULL,
        NULL, NULL, NULL, NULL::bigint, NULL::bigint, NULL::integer, NULL::bigint, NULL::boolean,
        NULL::integer, NULL::integer, NULL::bigint, NULL::integer[]
    FROM inbox AS m JOIN instances AS i ON i.ordinal = m.instance
    WHERE m.lane = p_lane AND m.lane <> 0 AND m.visible_at <= v_now
    ORDER BY m.message_id;

    IF v_due THEN
        PERFORM claim_instances(
            p_hub, p_lane, p_number, v_now, p_orchestrations, p_refused, p_room, p_suspects,
            p_probation
        );
    END IF;
    IF v_queued THEN
        PERFORM claim_activities(p_hub, p_lane, p_number, p_activities, p_slots);
    END IF;
    IF v_due OR v_queued OR p_firm THEN
        RETURN QUERY SELECT * FROM claimed(p_lane, p_acked, v_now);
    END IF;

    -- Asked after the claims: the timers of what was claimed are the lane's own by now.
    RETURN QUERY
    SELECT NULL, v_now, NULL::bigint, NULL, NULL, NULL, NULL::bytea, NULL, NULL,
        NULL, NULL, NULL, next_due(p_hub, p_lane, v_now, p_orchestrations, p_refused), NULL::bigint,
        NULL::integer, NULL::bigint, NULL::boolean, NULL::integer, NULL::integer, NULL::bigint,
        NULL::integer[];
END $$;

-- What a lane has claimed since the poll p_acked: rows of poll_v1.
CREATE FUNCTION claimed(p_lane bigint, p_acked bigint, p_now bigint) RETURNS TABLE (
    kind text, id bigint, ordinal bigint, instance_id text, execution_id text, name text,
    body bytea, version text, status text, input text, tags text, parent text, start_at bigint,
    created_at bigint, sequence integer, recorded_at bigint, busy boolean, crashes integer,
    task_id integer, token bigint, queued integer[]
)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    SELECT 'message', m.message_id, m.instance, NULL, NULL, NULL, m.body, NULL, NULL,
        NULL, NULL, NULL, NULL::bigint, NULL::bigint, NULL::integer, NULL::bigint, NULL::boolean,
        NULL::integer, NULL::integer, NULL::bigint, NULL::integer[]
    FROM instances AS i JOIN inbox AS m ON m.instance = i.ordinal
    WHERE i.lane = p_lane AND i.lane <> 0 AND i.claim > p_acked AND m.visible_at <= p_now
    ORDER BY m.message_id;

    RETURN QUERY
    SELECT 'instance', NULL::bigint, i.ordinal, i.instance_id, i.execution_id, i.name,
        i.carryover, i.version, i.status, i.input, i.tags::text, i.parent, i.start_at,
        i.created_at, coalesce(last.sequence + 1, 0), coalesce(last.recorded_at, i.recorded_at),
        i.busy, i.crashes, NULL::integer, NULL::bigint,
        (SELECT array_agg(a.task_id) FROM activities AS a
            WHERE a.instance = i.ordinal AND a.execution_id = i.execution_id)
    FROM instances AS i LEFT JOIN LATERAL (
        SELECT h.sequence, h.recorded_at FROM history AS h
        WHERE h.instance = i.ordinal ORDER BY h.sequence DESC LIMIT 1
    ) AS last ON true
    WHERE i.lane = p_lane AND i.lane <> 0 AND i.claim > p_acked
    ORDER BY i.wake_at, i.ordinal;

    RETURN QUERY
    SELECT 'activity', a.activity_id, a.instance, i.instance_id, a.execution_id, a.name, a.body,
        NULL, NULL, NULL, NULL, NULL, NULL::bigint, NULL::bigint, NULL::integer, NULL::bigint,
        NULL::boolean, a.crashes, a.task_id, a.token, NULL::integer[]
    FROM activities AS a JOIN instances AS i ON i.ordinal = a.instance
    WHERE a.lane = p_lane AND a.lane <> 0 AND a.claim > p_acked
    ORDER BY a.activity_id;
END $$;

CREATE FUNCTION unclaimed_v1(p_hub integer, p_age bigint)
RETURNS TABLE (kind text, name text, count bigint)
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_since bigint := microseconds() - p_age;
BEGIN
    RETURN QUERY
    SELECT 'orchestration', i.name, count(*) FROM instances AS i
    WHERE i.hub = p_hub AND i.lane = 0 AND i.wake_at <= v_since GROUP BY i.name
    UNION ALL
    SELECT 'activity', a.name, count(*) FROM activities AS a
    WHERE a.hub = p_hub AND a.lane = 0 AND a.queued_at <= v_since GROUP BY a.name;
END $$;
