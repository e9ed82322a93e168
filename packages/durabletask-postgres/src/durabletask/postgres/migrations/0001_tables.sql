-- The tables. All instants and durations are microseconds; instants count from 1970 by the clock of
-- the server.
--
-- Every migration runs in one transaction whose search_path is the schema of the hub and pg_temp,
-- so nothing here names the schema, and functions pin that path with.

CREATE TABLE migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The lowest version of the schema whose code still works on this one. A migration that takes away
-- what older code needs raises it.
CREATE TABLE oldest_code (version integer NOT NULL);
INSERT INTO oldest_code VALUES (1);

CREATE FUNCTION version_v1(OUT version integer, OUT oldest integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
BEGIN
    SELECT (SELECT max(m.version) FROM migrations AS m), (SELECT o.version FROM oldest_code AS o)
    INTO version, oldest;
END $$;

CREATE TABLE hubs (
    hub integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE
);

-- A row is locked by every commit of its lane and updated by heartbeats, so it gets a page nearly
-- to itself: the updates stay on it (HOT) and are pruned as they are made.
CREATE TABLE lanes (
    lane_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hub integer NOT NULL,
    epoch bigint NOT NULL DEFAULT 1,
    worker text NOT NULL,
    lease bigint NOT NULL,
    lease_until bigint NOT NULL,
    present boolean NOT NULL,           -- its session holds the advisory lock of the lane
    polled bigint NOT NULL DEFAULT 0,   -- number of the last poll that claimed something
    batch bigint NOT NULL DEFAULT 0,    -- number of the last batch that history does not show
    refused integer[],                  -- and what it found
    missing integer[],
    orchestrations text[] NOT NULL,
    activities text[] NOT NULL
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

-- Numbers of instances are given out by the lanes, which take 4096 of them at a time, so that a
-- turn can name the instance that its own batch creates.
CREATE SEQUENCE ordinal_blocks;

-- `lane` is the owner, 0 for nobody. `wake_at` says of an instance that nobody owns from when on it
-- may be claimed, and is NULL if nothing is due; rewake() is its definition. It keeps its last value
-- while somebody owns the instance. A turn in mid-life
-- changes no row here. What it does change is in no index, so the change is cheap (HOT), except for
-- the end of the instance.
CREATE TABLE instances (
    ordinal bigint PRIMARY KEY,
    hub integer NOT NULL,
    lane bigint NOT NULL,
    claim bigint NOT NULL DEFAULT 0,    -- number of the poll by which the lane got it; 0 by birth
    wake_at bigint,
    freed_at bigint NOT NULL,
    start_at bigint NOT NULL,
    created_at bigint NOT NULL,
    completed_at bigint,
    recorded_at bigint NOT NULL DEFAULT 0,
    crashes integer NOT NULL DEFAULT 0,
    busy boolean NOT NULL DEFAULT true,
    suspect boolean NOT NULL DEFAULT false,
    status text NOT NULL DEFAULT 'PENDING',
    instance_id text COLLATE "C" NOT NULL,
    execution_id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    version text,
    parent_id text COLLATE "C",
    parent text,
    parked text,
    parked_code text,
    tags jsonb,
    custom_status text,
    failure bytea,
    input text,
    output text,
    carryover bytea
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);

CREATE UNIQUE INDEX instances_id ON instances (hub, instance_id);
-- One for each half, so that a page of one does not read past the other: see query_v1.
CREATE INDEX instances_created ON instances (hub, created_at, instance_id)
    WHERE NOT starts_with(instance_id, '@');
CREATE INDEX instances_entities ON instances (hub, created_at, instance_id)
    WHERE starts_with(instance_id, '@');
CREATE INDEX instances_claimable ON instances (hub, name, wake_at, ordinal)
    WHERE lane = 0 AND wake_at IS NOT NULL;
CREATE INDEX instances_crashed ON instances (hub, name, wake_at, ordinal)
    WHERE lane = 0 AND wake_at IS NOT NULL AND crashes > 0;
CREATE INDEX instances_owned ON instances (lane, claim) WHERE lane <> 0;
CREATE INDEX instances_parked ON instances (hub, name) WHERE parked IS NOT NULL;
CREATE INDEX instances_children ON instances (hub, parent_id) WHERE parent_id IS NOT NULL;

-- One row per turn, only ever inserted, and deleted with its execution. An instance has one
-- execution at a time: the chunks of the last one go in the transaction that begins the next. The
-- key is the second barrier behind the epoch: no turn can be written twice.
CREATE TABLE history (
    instance bigint NOT NULL,
    sequence integer NOT NULL,
    recorded_at bigint NOT NULL,
    chunk bytea NOT NULL,
    PRIMARY KEY (instance, sequence)
);

-- `lane` repeats the owner of the instance, so that a lane finds its messages in one range of an
-- index. It is set under the lock of the instance's row, as the owner is.
CREATE TABLE inbox (
    message_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    instance bigint NOT NULL,
    lane bigint NOT NULL,
    visible_at bigint NOT NULL,
    bound boolean NOT NULL,             -- for the current execution only
    urgent boolean NOT NULL,
    body bytea NOT NULL
) WITH (
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 200,
    autovacuum_vacuum_cost_delay = 0
);

CREATE INDEX inbox_instance ON inbox (instance, visible_at);
CREATE INDEX inbox_owned ON inbox (lane, visible_at) WHERE lane <> 0;
CREATE INDEX inbox_urgent ON inbox (visible_at, instance) WHERE urgent AND lane = 0;

-- The shared queue. `token` counts the claims of a row.
CREATE TABLE activities (
    activity_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hub integer NOT NULL,
    instance bigint NOT NULL,
    task_id integer NOT NULL,
    crashes integer NOT NULL DEFAULT 0,
    lane bigint NOT NULL DEFAULT 0,
    claim bigint NOT NULL DEFAULT 0,
    token bigint NOT NULL DEFAULT 0,
    queued_at bigint NOT NULL,
    execution_id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    body bytea NOT NULL
) WITH (
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 200,
    autovacuum_vacuum_cost_delay = 0
);

CREATE INDEX activities_claimable ON activities (hub, name, activity_id) WHERE lane = 0;
CREATE INDEX activities_claimed ON activities (lane, claim) WHERE lane <> 0;
CREATE INDEX activities_instance ON activities (instance);

-- For people and their tools; readers may select from it.
CREATE VIEW orchestrations AS
SELECT
    h.name AS task_hub,
    i.instance_id,
    i.execution_id,
    i.name,
    i.version,
    i.status,
    to_timestamp(i.created_at / 1e6) AS created_at,
    to_timestamp(coalesce(
        (SELECT max(e.recorded_at) FROM history AS e WHERE e.instance = i.ordinal),
        nullif(i.recorded_at, 0), i.created_at
    ) / 1e6) AS updated_at,
    to_timestamp(i.completed_at / 1e6) AS completed_at,
    i.parent_id AS parent_instance_id,
    i.parked AS parked_reason,
    i.tags,
    i.input,
    i.output,
    i.custom_status,
    i.lane <> 0 AS is_owned,
    (SELECT count(*) FROM history AS e WHERE e.instance = i.ordinal) AS turns
FROM instances AS i
JOIN hubs AS h USING (hub);
