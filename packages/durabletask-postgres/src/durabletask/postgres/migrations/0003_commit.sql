-- Applying a batch in one call: all of it, or an error and nothing.
--
-- The fence is the lane's row, locked for the length of the transaction. Whoever ends the lane locks
-- it FOR UPDATE first, so either this commit is over by then and everybody sees what it wrote, or it
-- finds no row with its epoch. Since an owned instance changes hands only with its lane, the caller
-- may go by what it knows of the instances it owns, and rows of owned instances need no lock.
--
-- Rows of other instances are locked before their state is looked at, in the order of their ordinals.
-- The lock makes what follows from that state (which lane the message is for, whether the instance
-- has become due) true when it is written, and gives the messages of one instance numbers in the
-- order in which they become visible. Two commits that lock in several steps may still meet head on;
-- the server ends one of them, which has then written nothing and is repeated.
--
-- The statements of a function see what was committed before each of them began. So a create may be
-- refused for the sake of an instance that is gone when the message for it is delivered: then all of
-- the batch fails as transactions that collide do, and finds the id free when it is repeated.

CREATE FUNCTION fence_v1(
    p_hub integer, p_lane bigint, p_epoch bigint, p_number bigint, p_record boolean
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF p_record THEN
        UPDATE lanes SET batch = p_number, refused = NULL, missing = NULL
        WHERE lane_id = p_lane AND epoch = p_epoch AND hub = p_hub;
    ELSE
        -- Nothing is changed, so that no row version is left behind; and there is one session to a
        -- lane, so that no two of them share the lock.
        PERFORM FROM lanes
        WHERE lane_id = p_lane AND epoch = p_epoch AND hub = p_hub FOR NO KEY UPDATE;
    END IF;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'lane % may not write under epoch %', p_lane, p_epoch
            USING ERRCODE = 'DT001';
    END IF;
END $$;

-- The most frequent commit of all: one turn in the middle of an instance's life, which adds a row of
-- history and changes nothing else.
CREATE FUNCTION append_v1(
    p_hub integer, p_lane bigint, p_epoch bigint,
    p_instance bigint, p_sequence integer, p_recorded_at bigint, p_chunk bytea
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM FROM lanes
    WHERE lane_id = p_lane AND epoch = p_epoch AND hub = p_hub FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'lane % may not write under epoch %', p_lane, p_epoch
            USING ERRCODE = 'DT001';
    END IF;
    INSERT INTO history VALUES (p_instance, p_sequence, p_recorded_at, p_chunk);
END $$;

-- The birth of one instance, which the lane owns, together with its first turn. An id that is taken
-- is another's, who has made this turn.
CREATE FUNCTION begin_v1(
    p_hub integer, p_lane bigint, p_epoch bigint,
    p_instance bigint, p_id text, p_execution text, p_name text, p_version text, p_input text,
    p_tags text, p_created_at bigint, p_start_at bigint, p_status text, p_busy boolean,
    p_custom_status text,
    p_sequence integer, p_recorded_at bigint, p_chunk bytea
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM FROM lanes
    WHERE lane_id = p_lane AND epoch = p_epoch AND hub = p_hub FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'lane % may not write under epoch %', p_lane, p_epoch
            USING ERRCODE = 'DT001';
    END IF;
    INSERT INTO instances (
        ordinal, hub, instance_id, execution_id, name, version, input, tags,
        created_at, start_at, freed_at, lane, status, busy, custom_status
    ) VALUES (
        p_instance, p_hub, p_id, p_execution, p_name, p_version, p_input, p_tags::jsonb,
        p_created_at, p_start_at, microseconds(), p_lane, p_status, p_busy, p_custom_status
    ) ON CONFLICT (hub, instance_id) DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'lane % has made a turn of an instance that is another''s', p_lane
            USING ERRCODE = 'DT001';
    END IF;
    INSERT INTO history VALUES (p_instance, p_sequence, p_recorded_at, p_chunk);
END $$;

-- One turn that changes its instance, or ends it, and nothing else. The mask is that of
-- change_instances.
CREATE FUNCTION turn_v1(
    p_hub integer, p_lane bigint, p_epoch bigint,
    p_instance bigint, p_sequence integer, p_recorded_at bigint, p_chunk bytea,
    p_mask integer, p_status text, p_busy boolean, p_output text, p_failure bytea,
    p_custom_status text, p_completed_at bigint
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM FROM lanes
    WHERE lane_id = p_lane AND epoch = p_epoch AND hub = p_hub FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'lane % may not write under epoch %', p_lane, p_epoch
            USING ERRCODE = 'DT001';
    END IF;
    INSERT INTO history VALUES (p_instance, p_sequence, p_recorded_at, p_chunk);
    UPDATE instances SET
        status = coalesce(p_status, status),
        busy = coalesce(p_busy, busy),
        output = CASE WHEN p_mask & 1 > 0 THEN p_output ELSE output END,
        failure = CASE WHEN p_mask & 2 > 0 THEN p_failure ELSE failure END,
        custom_status = CASE WHEN p_mask & 4 > 0 THEN p_custom_status ELSE custom_status END,
        crashes = CASE WHEN p_mask & 8 > 0 THEN 0 ELSE crashes END,
        completed_at = p_completed_at,
        lane = CASE WHEN p_completed_at IS NULL THEN lane ELSE 0 END,
        wake_at = CASE WHEN p_completed_at IS NULL THEN wake_at END
    WHERE ordinal = p_instance;
    IF p_completed_at IS NOT NULL THEN
        DELETE FROM inbox WHERE instance = p_instance;
    END IF;
END $$;

-- Clears the parked reason and the crashes of instances whose rows are locked or owned.
CREATE FUNCTION unpark(p_ordinals bigint[], p_now bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE instances SET
        parked = NULL, parked_code = NULL, crashes = 0,
        freed_at = CASE WHEN parked IS NULL THEN freed_at ELSE p_now END
    WHERE ordinal = ANY (p_ordinals) AND (parked IS NOT NULL OR crashes > 0);
END $$;

-- Puts messages into inboxes, in the given order, and wakes receivers that nobody owns. Messages to
-- finished instances or to an execution that is not the current one are dropped.
--
-- Returns the positions, from 1, of those whose receiver does not exist, or NULL.
CREATE FUNCTION deliver(
    p_hub integer, p_lane bigint, p_ids text[], p_executions text[], p_visible_at bigint[],
    p_urgent boolean[], p_unpark boolean[], p_bodies bytea[]
) RETURNS integer[]
LANGUAGE plpgsql AS $$
DECLARE
    v_now bigint := microseconds();
    v_locked bigint[];
    v_missing integer[];
    v_free bigint[];
    v_parked bigint[];
BEGIN
    SELECT array_agg(strangers.ordinal) INTO v_locked FROM (
        SELECT ordinal FROM instances
        WHERE hub = p_hub AND instance_id = ANY (p_ids) AND lane <> p_lane AND completed_at IS NULL
        ORDER BY ordinal FOR NO KEY UPDATE
    ) AS strangers;

    -- An instance that has appeared since is not locked: whoever claims it now would not see the
    -- message. It did not exist yet when the message came.
    WITH received AS (
        SELECT g.position::integer, g.visible_at, g.urgent, g.unpark, g.body, i.ordinal, i.lane,
            g.execution IS NOT NULL AS bound,
            i.completed_at IS NULL AND coalesce(g.execution = i.execution_id, true) AS accepted
        FROM unnest(p_ids, p_executions, p_visible_at, p_urgent, p_unpark, p_bodies)
            WITH ORDINALITY AS g (id, execution, visible_at, urgent, unpark, body, position)
        LEFT JOIN instances AS i ON i.hub = p_hub AND i.instance_id = g.id AND (
            i.lane = p_lane OR i.completed_at IS NOT NULL
            OR i.ordinal IN (SELECT unnest(v_locked))
        )
    ), put AS (
        INSERT INTO inbox (instance, lane, visible_at, bound, urgent, body)
        SELECT ordinal, lane, CASE WHEN visible_at = 0 THEN v_now ELSE visible_at END, bound,
            urgent, body
        FROM received WHERE ordinal IS NOT NULL AND accepted ORDER BY position
    )
    SELECT
        array_agg(position) FILTER (WHERE ordinal IS NULL),
        array_agg(ordinal) FILTER (WHERE accepted AND lane = 0),
        array_agg(ordinal) FILTER (WHERE accepted AND unpark)
    INTO v_missing, v_free, v_parked FROM received;

    IF v_parked IS NOT NULL THEN
        PERFORM unpark(v_parked, v_now);
    END IF;
    IF v_free IS NOT NULL THEN
        PERFORM rewake(v_free);
    END IF;
    RETURN v_missing;
END $$;

-- Deletes instances with all that belongs to them.
CREATE FUNCTION erase(p_ordinals bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM instances WHERE ordinal = ANY (p_ordinals);
    DELETE FROM history WHERE instance = ANY (p_ordinals);
    DELETE FROM inbox WHERE instance = ANY (p_ordinals);
    DELETE FROM activities WHERE instance = ANY (p_ordinals);
END $$;

-- Deletes the finished instances that creates may replace. p_statuses: those that may be, separated
-- by blanks, or NULL.
--
-- Returns the positions, from 1, of the creates that the reuse policy of a later one must not help:
-- they found the id taken.
CREATE FUNCTION replace_finished(
    p_hub integer, p_ids text[], p_statuses text[], p_parents text[]
) RETURNS integer[]
LANGUAGE plpgsql AS $$
DECLARE
    v_replaced bigint[];
    v_early integer[];
BEGIN
    PERFORM FROM instances
    WHERE hub = p_hub AND instance_id = ANY (p_ids) AND completed_at IS NOT NULL
    ORDER BY ordinal FOR UPDATE;
    WITH wanted AS (
        SELECT c.position::integer, c.id, i.ordinal,
            i.status = ANY (string_to_array(c.statuses, ' '))
            AND coalesce(c.parent = i.parent_id, c.parent IS NULL) AS allowed
        FROM unnest(p_ids, p_statuses, p_parents)
            WITH ORDINALITY AS c (id, statuses, parent, position)
        JOIN instances AS i ON i.hub = p_hub AND i.instance_id = c.id
        WHERE i.completed_at IS NOT NULL
    ), first AS (
        SELECT ordinal, min(position) AS position FROM wanted WHERE allowed GROUP BY ordinal
    )
    SELECT
        (SELECT array_agg(ordinal) FROM first),
        (SELECT array_agg(w.position) FROM wanted AS w JOIN first AS f USING (ordinal)
            WHERE w.position < f.position)
    INTO v_replaced, v_early;
    PERFORM erase(v_replaced);
    RETURN coalesce(v_early, '{}');
END $$;

-- Creates instances. Racing creates of one id wait for each other at the unique index.
--
-- p_turned: the batch holds the first turn as well, whose changes are in these values already; such
-- a create must not be refused.
--
-- Returns the positions, from 1, of those whose id is taken, or NULL.
CREATE FUNCTION create_instances(
    p_hub integer, p_lane bigint, p_replacing boolean,
    c_ordinal bigint[], c_id text[], c_execution text[], c_name text[], c_version text[],
    c_input text[], c_tags text[], c_parent_id text[], c_parent text[], c_created_at bigint[],
    c_start_at bigint[], c_owned boolean[], c_turned boolean[], c_statuses text[],
    c_only_child_of text[], c_status text[], c_busy boolean[], c_output text[], c_failure bytea[],
    c_custom_status text[], c_completed_at bigint[]
) RETURNS integer[]
LANGUAGE plpgsql AS $$
DECLARE
    v_now bigint := microseconds();
    v_early integer[] := '{}';
    v_refused integer[];
    v_count integer;
BEGIN
    IF p_replacing THEN
        v_early := replace_finished(p_hub, c_id, c_statuses, c_only_child_of);
    END IF;
    INSERT INTO instances (
        ordinal, hub, instance_id, execution_id, name, version, input, tags, parent_id, parent,
        created_at, start_at, freed_at, lane, wake_at, status, busy, output, failure,
        custom_status, completed_at
    )
    SELECT ordinal, p_hub, id, execution, name, version, input, tags::jsonb, parent_id, parent,
        created_at, start_at, v_now,
        CASE WHEN owned AND completed_at IS NULL THEN p_lane ELSE 0 END,
        CASE WHEN NOT owned THEN greatest(v_now, start_at) END,
        status, busy, output, failure, custom_status, completed_at
    FROM unnest(
        c_ordinal, c_id, c_execution, c_name, c_version, c_input, c_tags, c_parent_id, c_parent,
        c_created_at, c_start_at, c_owned, c_status, c_busy, c_output, c_failure,
        c_custom_status, c_completed_at
    ) WITH ORDINALITY AS c (
        ordinal, id, execution, name, version, input, tags, parent_id, parent,
        created_at, start_at, owned, status, busy, output, failure,
        custom_status, completed_at, position
    )
    WHERE position <> ALL (v_early)
    ORDER BY id, position
    ON CONFLICT (hub, instance_id) DO NOTHING;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_count = cardinality(c_ordinal) THEN
        RETURN NULL;
    END IF;
    SELECT array_agg(c.position::integer) INTO v_refused
    FROM unnest(c_ordinal) WITH ORDINALITY AS c (ordinal, position)
    WHERE NOT EXISTS (SELECT FROM instances AS i WHERE i.ordinal = c.ordinal);
    IF EXISTS (
        SELECT FROM unnest(v_refused) AS r (position) WHERE c_turned[r.position]
    ) THEN
        RAISE EXCEPTION 'lane % has made a turn of an instance that is another''s', p_lane
            USING ERRCODE = 'DT001';
    END IF;
    RETURN v_refused;
END $$;

-- Sets the columns of owned instances that turns change. p_mask says which: 1 output, 2 failure,
-- 4 custom status, 8 crashes (to 0), 16 a new execution (input, version, carryover).
CREATE FUNCTION change_instances(
    u_ordinal bigint[], u_mask integer[], u_status text[], u_busy boolean[], u_output text[],
    u_failure bytea[], u_custom_status text[], u_completed_at bigint[], u_execution text[],
    u_input text[], u_version text[], u_carryover bytea[], u_recorded_at bigint[]
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_ended bigint[];
    v_renewed bigint[];
BEGIN
    WITH changed AS (
        UPDATE instances AS i SET
            status = coalesce(u.status, i.status),
            busy = coalesce(u.busy, i.busy),
            output = CASE WHEN u.mask & 1 > 0 THEN u.output ELSE i.output END,
            failure = CASE WHEN u.mask & 2 > 0 THEN u.failure ELSE i.failure END,
            custom_status =
                CASE WHEN u.mask & 4 > 0 THEN u.custom_status ELSE i.custom_status END,
            crashes = CASE WHEN u.mask & 8 > 0 THEN 0 ELSE i.crashes END,
            completed_at = u.completed_at,
            lane = CASE WHEN u.completed_at IS NULL THEN i.lane ELSE 0 END,
            wake_at = CASE WHEN u.completed_at IS NULL THEN i.wake_at END,
            execution_id = coalesce(u.execution, i.execution_id),
            input = CASE WHEN u.mask & 16 > 0 THEN u.input ELSE i.input END,
            version = CASE WHEN u.mask & 16 > 0 THEN u.version ELSE i.version END,
            carryover = CASE WHEN u.mask & 16 > 0 THEN u.carryover ELSE i.carryover END,
            recorded_at = coalesce(u.recorded_at, i.recorded_at)
        FROM unnest(
            u_ordinal, u_mask, u_status, u_busy, u_output, u_failure, u_custom_status,
            u_completed_at, u_execution, u_input, u_version, u_carryover, u_recorded_at
        ) AS u (
            ordinal, mask, status, busy, output, failure, custom_status,
            completed_at, execution, input, version, carryover, recorded_at
        )
        WHERE i.ordinal = u.ordinal
        RETURNING i.ordinal, i.completed_at, u.mask
    )
    SELECT
        array_agg(ordinal) FILTER (WHERE completed_at IS NOT NULL),
        array_agg(ordinal) FILTER (WHERE completed_at IS NULL AND mask & 16 > 0)
    INTO v_ended, v_renewed FROM changed;
    -- Statements of their own, so that they see what others put there before the rows above were
    -- locked; and nobody puts anything there any more.
    IF v_ended IS NOT NULL THEN
        DELETE FROM inbox WHERE instance = ANY (v_ended);
    END IF;
    IF v_renewed IS NOT NULL THEN
        DELETE FROM history WHERE instance = ANY (v_renewed);
        DELETE FROM inbox WHERE instance = ANY (v_renewed) AND bound;
    END IF;
END $$;

-- An urgent, unparking message for every unfinished child of some parents.
CREATE FUNCTION tell_children(p_hub integer, k_parent text[], k_body bytea[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_children bigint[];
    v_now bigint := microseconds();
BEGIN
    SELECT array_agg(child.ordinal) INTO v_children FROM (
        SELECT ordinal FROM instances
        WHERE hub = p_hub AND parent_id = ANY (k_parent) AND completed_at IS NULL
        ORDER BY ordinal FOR NO KEY UPDATE
    ) AS child;
    IF v_children IS NULL THEN
        RETURN;
    END IF;
    INSERT INTO inbox (instance, lane, visible_at, bound, urgent, body)
    SELECT i.ordinal, i.lane, v_now, false, true, k.body
    FROM instances AS i JOIN unnest(k_parent, k_body) AS k (parent, body) ON k.parent = i.parent_id
    WHERE i.ordinal = ANY (v_children)
    ORDER BY i.ordinal;
    PERFORM unpark(v_children, v_now);
    PERFORM rewake(v_children);
END $$;

-- Deletes the claimed activities whose token fits, and delivers their outcomes.
CREATE FUNCTION finish_activities(
    p_hub integer, p_lane bigint, f_activity bigint[], f_token bigint[], f_id text[],
    f_execution text[], f_visible_at bigint[], f_urgent boolean[], f_unpark boolean[],
    f_body bytea[]
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_ours bigint[];
BEGIN
    WITH gone AS (
        DELETE FROM activities AS a
        USING unnest(f_activity, f_token) WITH ORDINALITY AS f (activity, token, position)
        WHERE a.activity_id = f.activity AND a.token = f.token AND a.lane <> 0
        RETURNING f.position
    )
    SELECT array_agg(position) INTO v_ours FROM gone;
    IF v_ours IS NULL THEN
        RETURN;
    END IF;
    IF cardinality(v_ours) < cardinality(f_activity) THEN
        -- Somebody else has the others.
        SELECT array_agg(id ORDER BY position), array_agg(execution ORDER BY position),
            array_agg(visible_at ORDER BY position), array_agg(urgent ORDER BY position),
            array_agg(unpark ORDER BY position), array_agg(body ORDER BY position)
        INTO f_id, f_execution, f_visible_at, f_urgent, f_unpark, f_body
        FROM unnest(f_id, f_execution, f_visible_at, f_urgent, f_unpark, f_body)
            WITH ORDINALITY AS f (id, execution, visible_at, urgent, unpark, body, position)
        WHERE position = ANY (v_ours);
    END IF;
    PERFORM deliver(p_hub, p_lane, f_id, f_execution, f_visible_at, f_urgent, f_unpark, f_body);
END $$;

-- Parks and releases owned instances.
CREATE FUNCTION give_up(
    p_lane bigint, p_instance bigint[], p_execution text[], p_reason text[], p_code text[],
    r_instance bigint[], r_busy boolean[]
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_now bigint := microseconds();
    v_free bigint[];
BEGIN
    WITH parked AS (
        UPDATE instances AS i SET
            lane = 0, claim = 0, freed_at = v_now, parked = p.reason, parked_code = p.code
        FROM unnest(p_instance, p_execution, p_reason, p_code)
            AS p (ordinal, execution, reason, code)
        WHERE i.ordinal = p.ordinal AND i.lane = p_lane AND i.execution_id = p.execution
        RETURNING i.ordinal
    ), released AS (
        UPDATE instances AS i SET lane = 0, claim = 0, freed_at = v_now, busy = r.busy
        FROM unnest(r_instance, r_busy) AS r (ordinal, busy)
        WHERE i.ordinal = r.ordinal AND i.lane = p_lane
        RETURNING i.ordinal
    )
    SELECT array_agg(ordinal) INTO v_free
    FROM (SELECT ordinal FROM parked UNION ALL SELECT ordinal FROM released) AS free;
    IF v_free IS NOT NULL THEN
        UPDATE inbox SET lane = 0 WHERE instance = ANY (v_free);
        PERFORM rewake(v_free);
    END IF;
END $$;

-- Fails if one of the missing receivers is an instance for whose sake a create was refused.
CREATE FUNCTION expect_present(
    p_refused integer[], p_created text[], p_missing integer[], p_receivers text[]
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM unnest(p_refused) AS r (position) JOIN unnest(p_missing) AS m (position)
            ON p_created[r.position] = p_receivers[m.position]
    ) THEN
        RAISE EXCEPTION 'an instance was deleted while a message was on its way to it'
            USING ERRCODE = 'serialization_failure';
    END IF;
END $$;

-- Sees to it that some instances, which this transaction has just created or found, stay until its
-- end; fails if one of them has been deleted since. For a batch in several calls, of which the first
-- has fenced the lane and created, and the last delivers.
CREATE FUNCTION keep_v1(p_hub integer, p_lane bigint, p_epoch bigint, p_ids text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_count integer;
BEGIN
    PERFORM FROM instances
    WHERE hub = p_hub AND instance_id = ANY (p_ids) ORDER BY ordinal FOR KEY SHARE;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_count < cardinality(p_ids) THEN
        RAISE EXCEPTION 'an instance was deleted while a message was on its way to it'
            USING ERRCODE = 'serialization_failure';
    END IF;
END $$;

-- What clients may commit: new instances that nobody owns, and messages.
CREATE FUNCTION submit_v1(
    p_hub integer, p_lane bigint, p_epoch bigint, p_number bigint, p_replacing boolean,
    c_ordinal bigint[], c_id text[], c_execution text[], c_name text[], c_version text[],
    c_input text[], c_tags text[], c_created_at bigint[], c_start_at bigint[],
    c_statuses text[],
    g_id text[], g_execution text[], g_visible_at bigint[], g_urgent boolean[],
    g_unpark boolean[], g_body bytea[],
    OUT refused integer[], OUT missing integer[]
)
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_none text[];
    v_no boolean[];
BEGIN
    PERFORM fence_v1(p_hub, p_lane, p_epoch, p_number, true);
    IF cardinality(c_id) > 0 THEN
        v_none := array_fill(NULL::text, ARRAY[cardinality(c_id)]);
        v_no := array_fill(false, ARRAY[cardinality(c_id)]);
        refused := create_instances(
            p_hub, p_lane, p_replacing, c_ordinal, c_id, c_execution, c_name, c_version, c_input,
            c_tags, v_none, v_none, c_created_at, c_start_at, v_no, v_no, c_statuses, v_none,
            array_fill('PENDING'::text, ARRAY[cardinality(c_id)]),
            array_fill(true, ARRAY[cardinality(c_id)]),
            v_none, array_fill(NULL::bytea, ARRAY[cardinality(c_id)]), v_none,
            array_fill(NULL::bigint, ARRAY[cardinality(c_id)])
        );
    END IF;
    IF cardinality(g_id) > 0 THEN
        missing := deliver(
            p_hub, p_lane, g_id, g_execution, g_visible_at, g_urgent, g_unpark, g_body
        );
    END IF;
    IF refused IS NOT NULL AND missing IS NOT NULL THEN
        PERFORM expect_present(refused, c_id, missing, g_id);
    END IF;
    IF refused IS NOT NULL OR missing IS NOT NULL THEN
        UPDATE lanes AS l SET refused = submit_v1.refused, missing = submit_v1.missing
        WHERE l.lane_id = p_lane;
    END IF;
END $$;

-- A start inside a transaction of the caller's own; false if the id is taken. The notification is
-- sent if and when the caller commits, for nobody else will know.
CREATE FUNCTION start_v1(
    p_hub text, p_channel text,
    p_ordinal bigint, p_id text, p_execution text, p_name text, p_version text, p_input text,
    p_tags text, p_created_at bigint, p_start_at bigint, p_statuses text
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_refused integer[];
BEGIN
    v_refused := create_instances(
        hub_v1(p_hub), 0, p_statuses IS NOT NULL, ARRAY[p_ordinal], ARRAY[p_id],
        ARRAY[p_execution], ARRAY[p_name], ARRAY[p_version], ARRAY[p_input], ARRAY[p_tags],
        ARRAY[NULL::text], ARRAY[NULL::text], ARRAY[p_created_at], ARRAY[p_start_at],
        ARRAY[false], ARRAY[false], ARRAY[p_statuses], ARRAY[NULL::text],
        ARRAY['PENDING'], ARRAY[true], ARRAY[NULL::text], ARRAY[NULL::bytea],
        ARRAY[NULL::text], ARRAY[NULL::bigint]
    );
    IF v_refused IS NULL AND p_channel IS NOT NULL THEN
        PERFORM pg_notify(p_channel, '');
    END IF;
    RETURN v_refused IS NULL;
END $$;

-- A batch of any kind. Columns of what it has none of are NULL. The letters: c creates, d the refusals of those whose id is taken, t turns,
-- m consumed messages, w timers, u changed instances, k parents whose children are told, g messages,
-- a activities, f finished ones, p parked and r released instances, x returned activities.
CREATE FUNCTION commit_v1(
    p_hub integer, p_lane bigint, p_epoch bigint, p_number bigint, p_record boolean,
    p_replacing boolean,
    c_ordinal bigint[], c_id text[], c_execution text[], c_name text[], c_version text[],
    c_input text[], c_tags text[], c_parent_id text[], c_parent text[], c_created_at bigint[],
    c_start_at bigint[], c_owned boolean[], c_turned boolean[], c_statuses text[],
    c_only_child_of text[], c_status text[], c_busy boolean[], c_output text[], c_failure bytea[],
    c_custom_status text[], c_completed_at bigint[],
    d_create integer[], d_id text[], d_execution text[], d_visible_at bigint[],
    d_urgent boolean[], d_unpark boolean[], d_body bytea[],
    t_instance bigint[], t_sequence integer[], t_recorded_at bigint[], t_chunk bytea[],
    m_message bigint[], m_instance bigint[],
    w_instance bigint[], w_visible_at bigint[], w_body bytea[],
    u_ordinal bigint[], u_mask integer[], u_status text[], u_busy boolean[], u_output text[],
    u_failure bytea[], u_custom_status text[], u_completed_at bigint[], u_execution text[],
    u_input text[], u_version text[], u_carryover bytea[], u_recorded_at bigint[],
    k_parent text[], k_body bytea[],
    g_id text[], g_execution text[], g_visible_at bigint[], g_urgent boolean[],
    g_unpark boolean[], g_body bytea[],
    a_id text[], a_execution text[], a_task integer[], a_name text[], a_body bytea[],
    f_activity bigint[], f_token bigint[], f_id text[], f_execution text[],
    f_visible_at bigint[], f_urgent boolean[], f_unpark boolean[], f_body bytea[],
    p_instance bigint[], p_execution text[], p_reason text[], p_code text[],
    r_instance bigint[], r_busy boolean[],
    x_activity bigint[], x_token bigint[],
    OUT refused integer[], OUT missing integer[]
)
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_count integer;
BEGIN
    PERFORM fence_v1(p_hub, p_lane, p_epoch, p_number, p_record);
    IF cardinality(c_id) > 0 THEN
        refused := create_instances(
            p_hub, p_lane, p_replacing, c_ordinal, c_id, c_execution, c_name, c_version, c_input,
            c_tags, c_parent_id, c_parent, c_created_at, c_start_at, c_owned, c_turned,
            c_statuses, c_only_child_of, c_status, c_busy, c_output, c_failure, c_custom_status,
            c_completed_at
        );
        IF refused IS NOT NULL AND cardinality(d_create) > 0 THEN
            PERFORM deliver(
                p_hub, p_lane, array_agg(d.id), array_agg(d.execution), array_agg(d.visible_at),
                array_agg(d.urgent), array_agg(d.unpark), array_agg(d.body)
            )
            FROM unnest(
                d_create, d_id, d_execution, d_visible_at, d_urgent, d_unpark, d_body
            ) AS d (position, id, execution, visible_at, urgent, unpark, body)
            WHERE d.position = ANY (refused)
            HAVING count(*) > 0;
        END IF;
    END IF;
    IF cardinality(t_instance) > 0 THEN
        INSERT INTO history
        SELECT * FROM unnest(t_instance, t_sequence, t_recorded_at, t_chunk);
    END IF;
    IF cardinality(m_message) > 0 THEN
        DELETE FROM inbox AS i USING unnest(m_message, m_instance) AS m (message, instance)
        WHERE i.message_id = m.message AND i.instance = m.instance;
        GET DIAGNOSTICS v_count = ROW_COUNT;
        IF v_count <> cardinality(m_message) THEN
            RAISE EXCEPTION 'lane % has consumed a message that is gone', p_lane
                USING ERRCODE = 'DT001';
        END IF;
    END IF;
    IF cardinality(w_instance) > 0 THEN
        INSERT INTO inbox (instance, lane, visible_at, bound, urgent, body)
        SELECT w.instance, p_lane,
            CASE WHEN w.visible_at = 0 THEN microseconds() ELSE w.visible_at END,
            true, false, w.body
        FROM unnest(w_instance, w_visible_at, w_body) AS w (instance, visible_at, body);
    END IF;
    IF cardinality(u_ordinal) > 0 THEN
        PERFORM change_instances(
            u_ordinal, u_mask, u_status, u_busy, u_output, u_failure, u_custom_status,
            u_completed_at, u_execution, u_input, u_version, u_carryover, u_recorded_at
        );
    END IF;
    IF cardinality(k_parent) > 0 THEN
        PERFORM tell_children(p_hub, k_parent, k_body);
    END IF;
    IF cardinality(g_id) > 0 THEN
        missing := deliver(
            p_hub, p_lane, g_id, g_execution, g_visible_at, g_urgent, g_unpark, g_body
        );
    END IF;
    IF refused IS NOT NULL AND missing IS NOT NULL THEN
        PERFORM expect_present(refused, c_id, missing, g_id);
    END IF;
    IF cardinality(a_id) > 0 THEN
        INSERT INTO activities (hub, instance, execution_id, task_id, name, queued_at, body)
        SELECT p_hub, i.ordinal, a.execution, a.task, a.name, microseconds(), a.body
        FROM unnest(a_id, a_execution, a_task, a_name, a_body)
            WITH ORDINALITY AS a (id, execution, task, name, body, position)
        JOIN instances AS i ON i.hub = p_hub AND i.instance_id = a.id
        ORDER BY a.position;
    END IF;
    IF cardinality(f_activity) > 0 THEN
        PERFORM finish_activities(
            p_hub, p_lane, f_activity, f_token, f_id, f_execution, f_visible_at, f_urgent,
            f_unpark, f_body
        );
    END IF;
    IF cardinality(p_instance) > 0 OR cardinality(r_instance) > 0 THEN
        PERFORM give_up(
            p_lane, p_instance, p_execution, p_reason, p_code, r_instance, r_busy
        );
    END IF;
    IF cardinality(x_activity) > 0 THEN
        UPDATE activities AS a SET lane = 0, claim = 0
        FROM unnest(x_activity, x_token) AS x (activity, token)
        WHERE a.activity_id = x.activity AND a.token = x.token AND a.lane <> 0;
    END IF;
    IF refused IS NOT NULL OR missing IS NOT NULL THEN
        UPDATE lanes AS l
        SET batch = p_number, refused = commit_v1.refused, missing = commit_v1.missing
        WHERE l.lane_id = p_lane;
    END IF;
END $$;
