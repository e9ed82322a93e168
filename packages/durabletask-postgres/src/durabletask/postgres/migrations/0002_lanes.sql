-- Lanes: opening, renewing, ending, and settling commits of unknown outcome.
--
-- A lane that has ended has no row, and numbers are never used again, so every key of it is invalid
-- from then on. Errors of ours have the SQLSTATE DT001: the lane is lost, nothing was written.

CREATE FUNCTION microseconds() RETURNS bigint
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;

CREATE FUNCTION hub_v1(p_name text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_hub integer;
BEGIN
    SELECT hub INTO v_hub FROM hubs WHERE name = p_name;
    IF NOT FOUND THEN
        INSERT INTO hubs (name) VALUES (p_name) ON CONFLICT DO NOTHING;
        SELECT hub INTO STRICT v_hub FROM hubs WHERE name = p_name;
    END IF;
    RETURN v_hub;
END $$;

CREATE FUNCTION ordinals_v1() RETURNS bigint
LANGUAGE sql SECURITY DEFINER
RETURN (nextval('ordinal_blocks') - 1) * 4096 + 1;

-- The key of a lane's advisory lock, as the two halves that the lock functions take: one for the
-- schema, one for the lane.
CREATE FUNCTION presence_class() RETURNS integer
LANGUAGE sql STABLE
RETURN (SELECT ('x' || substr(md5('durabletask lane ' || current_schema()), 1, 8))::bit(32)::integer);

CREATE FUNCTION standing(p_hub integer, OUT now bigint, OUT orchestrations text[],
    OUT activities text[], OUT workers bigint)
LANGUAGE plpgsql AS $$
BEGIN
    now := microseconds();
    WITH live AS (
        SELECT l.orchestrations AS o, l.activities AS a FROM lanes AS l
        WHERE l.hub = p_hub AND l.lease_until > standing.now
    )
    SELECT
        coalesce((SELECT array_agg(DISTINCT n) FROM live, unnest(o) AS n), '{}'),
        coalesce((SELECT array_agg(DISTINCT n) FROM live, unnest(a) AS n), '{}'),
        (SELECT count(*) FROM live WHERE cardinality(o) + cardinality(a) > 0)
    INTO orchestrations, activities, workers;
END $$;

-- When somebody has to look at an instance that nobody owns: see the table.
CREATE FUNCTION rewake(p_ordinals bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE instances AS i SET wake_at = CASE
        WHEN i.lane <> 0 OR i.completed_at IS NOT NULL OR i.parked IS NOT NULL THEN NULL
        WHEN NOT EXISTS (SELECT FROM history AS h WHERE h.instance = i.ordinal)
            THEN greatest(i.freed_at, i.start_at)
        WHEN i.busy THEN i.freed_at
        ELSE (
            SELECT greatest(i.freed_at, i.start_at, m.visible_at) FROM inbox AS m
            WHERE m.instance = i.ordinal ORDER BY m.visible_at LIMIT 1
        )
    END
    WHERE i.ordinal = ANY (p_ordinals);
END $$;

CREATE FUNCTION open_lane_v1(
    p_hub integer, p_worker text, p_lease bigint, p_present boolean,
    p_orchestrations text[], p_codes text[], p_activities text[],
    OUT lane_id bigint, OUT epoch bigint, OUT now bigint, OUT orchestrations text[],
    OUT activities text[], OUT workers bigint
)
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_free bigint[];
BEGIN
    INSERT INTO lanes AS l (hub, worker, lease, lease_until, present, orchestrations, activities)
    VALUES (p_hub, p_worker, p_lease, microseconds() + p_lease, p_present, p_orchestrations,
        p_activities)
    RETURNING l.lane_id, l.epoch INTO lane_id, epoch;
    IF p_present THEN
        PERFORM pg_advisory_lock(presence_class(), lane_id::integer);
    END IF;

    -- What is parked under another fingerprint of the code that this lane brings is released.
    SELECT array_agg(parked.ordinal) INTO v_free FROM (
        SELECT i.ordinal
        FROM unnest(p_orchestrations, p_codes) AS known (name, code)
        JOIN instances AS i ON i.hub = p_hub AND i.name = known.name
        WHERE i.parked IS NOT NULL AND i.parked_code <> known.code
        ORDER BY i.ordinal FOR NO KEY UPDATE OF i
    ) AS parked;
    IF v_free IS NOT NULL THEN
        UPDATE instances SET parked = NULL, parked_code = NULL, freed_at = microseconds()
        WHERE ordinal = ANY (v_free);
        PERFORM rewake(v_free);
    END IF;

    SELECT * INTO now, orchestrations, activities, workers FROM standing(p_hub);
END $$;

-- Extends the lease. With p_present the session takes the lane's advisory lock. If an earlier session
-- of the lane still has it, because the server has not noticed its end, then the lock will be free
-- some time later though the lane lives: until the lock is ours, only the lease counts.
CREATE FUNCTION renew_lane_v1(
    p_hub integer, p_lane bigint, p_epoch bigint, p_present boolean,
    OUT now bigint, OUT orchestrations text[], OUT activities text[], OUT workers bigint,
    OUT present boolean
)
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    present := p_present AND pg_try_advisory_lock(presence_class(), p_lane::integer);
    UPDATE lanes AS l
    SET lease_until = microseconds() + l.lease,
        present = CASE WHEN p_present THEN renew_lane_v1.present ELSE l.present END
    WHERE l.lane_id = p_lane AND l.epoch = p_epoch AND l.hub = p_hub;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'lane % may not write under epoch %', p_lane, p_epoch
            USING ERRCODE = 'DT001';
    END IF;
    SELECT s.now, s.orchestrations, s.activities, s.workers
    INTO now, orchestrations, activities, workers FROM standing(p_hub) AS s;
END $$;

-- Deletes lanes, whose rows the caller has locked FOR UPDATE, and gives up all they own and have
-- claimed. A commit of theirs that is under way holds its lane's row, so it was over before that
-- lock was given, and none can follow.
--
-- A crash counts against what was busy or had a message, up to the second one; from then on only
-- against the instance that was handed out as a suspect, lest an innocent neighbour is set aside.
CREATE FUNCTION end_lanes(p_lanes bigint[], p_crashed boolean) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_owned bigint[];
    v_now bigint := microseconds();
BEGIN
    SELECT array_agg(owned.ordinal) INTO v_owned FROM (
        SELECT ordinal FROM instances WHERE lane = ANY (p_lanes) AND lane <> 0
        ORDER BY ordinal FOR NO KEY UPDATE
    ) AS owned;
    UPDATE instances AS i SET
        lane = 0, claim = 0, freed_at = v_now, suspect = false,
        crashes = i.crashes + (
            p_crashed AND (i.crashes < 2 OR i.suspect) AND (i.busy OR EXISTS (
                SELECT FROM inbox AS m WHERE m.instance = i.ordinal AND m.visible_at <= v_now
            ))
        )::integer
    WHERE i.ordinal = ANY (v_owned);
    UPDATE inbox SET lane = 0 WHERE lane = ANY (p_lanes) AND lane <> 0;
    PERFORM rewake(v_owned);
    UPDATE activities SET lane = 0, claim = 0, crashes = crashes + p_crashed::integer
    WHERE lane = ANY (p_lanes) AND lane <> 0;
    DELETE FROM lanes WHERE lane_id = ANY (p_lanes);
END $$;

CREATE FUNCTION close_lane_v1(p_hub integer, p_lane bigint, p_epoch bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM FROM lanes
    WHERE lane_id = p_lane AND epoch = p_epoch AND hub = p_hub FOR UPDATE;
    IF FOUND THEN
        PERFORM end_lanes(ARRAY[p_lane], false);
    END IF;
END $$;

-- Ends the lanes whose lease is over, and with p_presence those whose advisory lock is free: their
-- session is gone. Not so just after a start of the server, when everybody's is. The session of the
-- caller must not be that of a lane, for which its own lock would seem free. Returns the lanes.
CREATE FUNCTION take_over_v1(p_hub integer, p_presence boolean) RETURNS bigint[]
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_now bigint := microseconds();
    v_class integer := presence_class();
    v_settled boolean :=
        p_presence AND clock_timestamp() > pg_postmaster_start_time() + interval '3 seconds';
    v_dead bigint[];
BEGIN
    SELECT array_agg(dead.lane_id) INTO v_dead FROM (
        SELECT lane_id FROM lanes
        WHERE hub = p_hub AND CASE
            WHEN lease_until <= v_now THEN true
            WHEN v_settled AND present
                THEN pg_try_advisory_xact_lock(v_class, lane_id::integer)
            ELSE false
        END
        FOR UPDATE SKIP LOCKED
    ) AS dead;
    IF v_dead IS NOT NULL THEN
        PERFORM end_lanes(v_dead, true);
    END IF;
    RETURN coalesce(v_dead, '{}');
END $$;

-- Settles an unknown commit. The epoch is raised first: a request that is still on its way then
-- fails, whenever it comes, so what is seen afterwards stays true.
--
-- Nobody but the lane, which still exists, could have written a turn of what it owns; so the last
-- turn of a batch tells whether the batch is there. The last, because an earlier one may be followed
-- by another of its instance that begins a new execution, with which its own row of history is gone.
-- Any epoch of the lane will do: the caller may repeat a call whose answer was lost.
CREATE FUNCTION resolve_v1(
    p_hub integer, p_lane bigint, p_number bigint,
    p_instance text, p_execution text, p_sequence integer, p_next text,
    OUT epoch bigint, OUT applied boolean, OUT refused integer[], OUT missing integer[]
)
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_batch bigint;
BEGIN
    UPDATE lanes AS l SET epoch = l.epoch + 1 WHERE l.lane_id = p_lane AND l.hub = p_hub
    RETURNING l.epoch, l.batch, l.refused, l.missing INTO epoch, v_batch, refused, missing;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'lane % is gone', p_lane USING ERRCODE = 'DT001';
    END IF;
    IF v_batch = p_number THEN
        applied := true;
        RETURN;
    END IF;
    refused := NULL;
    missing := NULL;
    IF p_instance IS NULL THEN
        applied := false;
    ELSIF p_next IS NOT NULL THEN
        -- The history that the turn belonged to is gone; the execution that follows it is there.
        applied := EXISTS (
            SELECT FROM instances
            WHERE hub = p_hub AND instance_id = p_instance AND execution_id = p_next
        );
    ELSE
        applied := EXISTS (
            SELECT FROM instances AS i JOIN history AS h ON h.instance = i.ordinal
            WHERE i.hub = p_hub AND i.instance_id = p_instance AND i.execution_id = p_execution
            AND h.sequence = p_sequence
        );
    END IF;
END $$;
