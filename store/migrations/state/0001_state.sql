-- Instants are Unix nanoseconds (INTEGER), structured values are JSON (TEXT), booleans 0 or 1.
-- Kept to what PostgreSQL also speaks, so that several nodes can share one state later.

CREATE TABLE model_versions (
    model           TEXT   NOT NULL,
    version         TEXT   NOT NULL,
    environment     TEXT   NOT NULL,
    first_event_time BIGINT NOT NULL,
    last_event_time BIGINT NOT NULL,
    first_seen_at   BIGINT NOT NULL,
    PRIMARY KEY (model, version, environment)
);

CREATE TABLE deployments (
    id               TEXT   PRIMARY KEY,
    model            TEXT   NOT NULL,
    version          TEXT   NOT NULL,
    environment      TEXT   NOT NULL,
    event            TEXT   NOT NULL,              -- candidate | live | retired | seen
    source           TEXT   NOT NULL,              -- api | telemetry
    baseline_version TEXT,                         -- fixed when the release is first seen or announced
    retrain_id       TEXT,
    reference        TEXT,                         -- name of the training reference, when one was uploaded
    commit_id        TEXT,
    artifact         TEXT,
    data_version     TEXT,
    body             TEXT   NOT NULL,              -- the announcement as it came
    at               BIGINT NOT NULL,              -- when it took effect
    created_at       BIGINT NOT NULL,
    watch_until      BIGINT NOT NULL,
    planned_at       BIGINT                        -- when the baseline was fixed and the replays were queued
);
CREATE INDEX deployments_by_model ON deployments (model, created_at);
CREATE INDEX deployments_unplanned ON deployments (created_at, id) WHERE planned_at IS NULL;
-- The indexes named *_looked_at hold all that open pages look at every second, so that no row is read for it.
CREATE INDEX deployments_looked_at ON deployments (model, planned_at, created_at);

CREATE TABLE reference_sets (
    model         TEXT   NOT NULL,
    name          TEXT   NOT NULL,
    kind          TEXT   NOT NULL,                 -- pinned | uploaded | previous_version | trailing
    from_time     BIGINT,
    to_time       BIGINT,
    version       TEXT,
    rows          BIGINT NOT NULL,
    state         TEXT   NOT NULL,                 -- waiting | profiled | failed
    reason        TEXT,
    generation    BIGINT NOT NULL,                 -- of its rows in reference_profiles
    created_at    BIGINT NOT NULL,
    profiled_at   BIGINT,
    PRIMARY KEY (model, name)
);
CREATE INDEX reference_sets_waiting ON reference_sets (to_time) WHERE state = 'waiting';

CREATE TABLE control_sets (
    id          TEXT   NOT NULL,                   -- content hash
    model       TEXT   NOT NULL,
    examples    BIGINT NOT NULL,
    warnings    TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    is_current  INTEGER NOT NULL,
    planned_at  BIGINT,                            -- when the replays that it calls for were queued
    PRIMARY KEY (model, id)
);

CREATE TABLE control_examples (
    model      TEXT   NOT NULL,
    set_id     TEXT   NOT NULL,
    position   BIGINT NOT NULL,
    example_id TEXT   NOT NULL,
    input      TEXT   NOT NULL,
    expected   TEXT   NOT NULL,
    tags       TEXT   NOT NULL,
    segment    TEXT,
    PRIMARY KEY (model, set_id, position)
);

CREATE TABLE replays (
    id            TEXT   PRIMARY KEY,
    model         TEXT   NOT NULL,
    version       TEXT   NOT NULL,
    environment   TEXT   NOT NULL,
    set_id        TEXT   NOT NULL,
    runner        TEXT,                            -- what ran it; NULL until it was started
    state         TEXT   NOT NULL,                 -- queued | running | done | failed | skipped
    reason        TEXT,
    requested_by  TEXT   NOT NULL,                 -- api | release | set | baseline
    deployment_id TEXT,
    baseline_version TEXT,                         -- what its verdict compares with; NULL: nothing, or not fixed yet
    baseline_fixed INTEGER NOT NULL,
    attempts      BIGINT NOT NULL,                 -- starts, so that a replay that kills the process ends as failed
    metrics       TEXT,
    verdict_owed  INTEGER NOT NULL DEFAULT 0,      -- it ended, and its verdict waits for the baseline's replay
    created_at    BIGINT NOT NULL,
    started_at    BIGINT,
    finished_at   BIGINT
);
CREATE INDEX replays_by_state ON replays (state, created_at);
CREATE INDEX replays_by_version ON replays (model, version, created_at);
CREATE INDEX replays_owing ON replays (created_at, id) WHERE verdict_owed = 1;
CREATE INDEX replays_looked_at ON replays (model, finished_at, started_at, created_at);

CREATE TABLE replay_results (
    replay_id  TEXT   NOT NULL,
    position   BIGINT NOT NULL,
    answer     TEXT,
    score      DOUBLE PRECISION,
    latency_ms DOUBLE PRECISION,
    correct    INTEGER NOT NULL,
    error      TEXT,
    PRIMARY KEY (replay_id, position)
);

CREATE TABLE verdicts (
    id                 TEXT   PRIMARY KEY,
    model              TEXT   NOT NULL,
    version            TEXT   NOT NULL,
    environment        TEXT   NOT NULL,
    baseline_version   TEXT,
    set_id             TEXT   NOT NULL,
    replay_id          TEXT   NOT NULL,
    baseline_replay_id TEXT,
    verdict            TEXT   NOT NULL,            -- pass | fail | inconclusive
    reasons            TEXT   NOT NULL,
    flips              TEXT   NOT NULL,
    details            TEXT   NOT NULL,
    created_at         BIGINT NOT NULL,
    published_at       BIGINT                      -- when its signals were given to alerting
);
CREATE INDEX verdicts_by_version ON verdicts (model, version, created_at);
CREATE INDEX verdicts_unpublished ON verdicts (created_at, id) WHERE published_at IS NULL;
CREATE INDEX verdicts_by_replay ON verdicts (replay_id, created_at);
CREATE INDEX verdicts_looked_at ON verdicts (model, created_at);

CREATE TABLE alerts (
    id               TEXT   PRIMARY KEY,
    rule             TEXT   NOT NULL,
    series           TEXT   NOT NULL,              -- environment, model, version, segment and subject, canonical
    group_key        TEXT   NOT NULL,
    model            TEXT   NOT NULL,
    version          TEXT   NOT NULL,
    environment      TEXT   NOT NULL,
    segment          TEXT   NOT NULL,
    subject          TEXT   NOT NULL,
    signal           TEXT   NOT NULL,
    severity         TEXT   NOT NULL,
    state            TEXT   NOT NULL,              -- inactive | pending | firing | resolved
    since            BIGINT NOT NULL,              -- start of the present state
    firing_since     BIGINT,
    resolved_at      BIGINT,
    last_window_end  BIGINT NOT NULL,              -- a window is judged once
    last_notified_at BIGINT,
    value            DOUBLE PRECISION,
    lower            DOUBLE PRECISION,
    upper            DOUBLE PRECISION,
    threshold        DOUBLE PRECISION,
    why              TEXT   NOT NULL,
    details          TEXT   NOT NULL,
    updated_at       BIGINT NOT NULL,
    UNIQUE (rule, series)
);
CREATE INDEX alerts_by_model ON alerts (model, state);
CREATE INDEX alerts_looked_at ON alerts (model, updated_at);

CREATE TABLE alert_transitions (
    alert_id   TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    from_state TEXT   NOT NULL,
    to_state   TEXT   NOT NULL,
    value      DOUBLE PRECISION,
    reason     TEXT   NOT NULL,
    PRIMARY KEY (alert_id, at, to_state)
);

CREATE TABLE outbox (
    id              TEXT   PRIMARY KEY,            -- the webhook-id, the same for every attempt
    channel         TEXT   NOT NULL,               -- webhook | email
    route           TEXT   NOT NULL,               -- name of the receiver, or the action's kind
    destination     TEXT   NOT NULL,
    body            TEXT   NOT NULL,
    state           TEXT   NOT NULL,               -- pending | delivered | dead
    attempts        BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    last_error      TEXT,
    last_status     BIGINT,
    action_id       TEXT,
    group_key       TEXT,
    created_at      BIGINT NOT NULL,
    delivered_at    BIGINT
);
CREATE INDEX outbox_due ON outbox (state, next_attempt_at);
CREATE INDEX outbox_by_group ON outbox (group_key, route, state, id);
CREATE INDEX outbox_by_action ON outbox (action_id);
CREATE INDEX outbox_looked_at ON outbox (created_at, delivered_at, attempts);

CREATE TABLE actions (
    id            TEXT   PRIMARY KEY,
    kind          TEXT   NOT NULL,                 -- rollback | retrain
    model         TEXT   NOT NULL,
    environment   TEXT   NOT NULL,
    from_version  TEXT,
    to_version    TEXT,
    retrain_id    TEXT,
    state         TEXT   NOT NULL,                 -- asked | requested | accepted | confirmed | unobserved | overdue | failed | done | undone | dismissed
    because       TEXT   NOT NULL,
    rule          TEXT,
    alert_id      TEXT,
    requested_by  TEXT   NOT NULL,
    requested_at  BIGINT NOT NULL,
    accepted_at   BIGINT,
    finished_at   BIGINT,
    deadline      BIGINT NOT NULL,
    details       TEXT   NOT NULL,
    updated_at    BIGINT NOT NULL
);
CREATE INDEX actions_by_model ON actions (model, environment, requested_at);
CREATE INDEX actions_by_state ON actions (kind, state);
CREATE INDEX actions_by_alert ON actions (alert_id, requested_at);
CREATE INDEX actions_looked_at ON actions (model, updated_at);

CREATE TABLE action_events (
    action_id TEXT   NOT NULL,
    at        BIGINT NOT NULL,
    state     TEXT   NOT NULL,
    note      TEXT   NOT NULL,
    PRIMARY KEY (action_id, at, state)
);

CREATE TABLE silences (
    id         TEXT   PRIMARY KEY,
    matchers   TEXT   NOT NULL,
    reason     TEXT   NOT NULL,
    author     TEXT   NOT NULL,
    starts_at  BIGINT NOT NULL,
    ends_at    BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE keys (
    id           TEXT   PRIMARY KEY,
    hash         TEXT   NOT NULL UNIQUE,
    scopes       TEXT   NOT NULL,
    environments TEXT   NOT NULL,
    label        TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    revoked_at   BIGINT
);

CREATE TABLE audit (
    at      BIGINT NOT NULL,
    actor   TEXT   NOT NULL,
    action  TEXT   NOT NULL,
    subject TEXT   NOT NULL,
    details TEXT   NOT NULL
);
CREATE INDEX audit_by_time ON audit (at);

-- What late or new data made dirty. The drain marks before it commits a batch; a consumer takes a
-- mark's `mark` number with its work and clears the row only where the number is still the same.
CREATE TABLE dirty_minutes (
    consumer TEXT   NOT NULL,                      -- buckets | profiles | quality | outcomes
    model    TEXT   NOT NULL,
    minute   BIGINT NOT NULL,                      -- Unix seconds of the start
    seconds  BIGINT NOT NULL,                      -- 60; 3600 where too many minutes were coarsened to hours
    mark     BIGINT NOT NULL,
    PRIMARY KEY (consumer, model, minute, seconds)
);

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
