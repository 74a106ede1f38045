-- Patterns of error messages, in the order in which they were learnt, and where each was met.
CREATE TABLE patterns (
    pattern_id   TEXT   PRIMARY KEY,
    template     TEXT   NOT NULL,
    learnt_order BIGINT NOT NULL
);

CREATE TABLE pattern_sightings (
    pattern_id       TEXT   NOT NULL,
    service          TEXT   NOT NULL,
    model            TEXT   NOT NULL,
    version          TEXT   NOT NULL,
    environment      TEXT   NOT NULL,
    first_event_time BIGINT NOT NULL,
    last_event_time  BIGINT NOT NULL,
    PRIMARY KEY (pattern_id, service, model, version, environment)
);
CREATE INDEX pattern_sightings_by_model ON pattern_sightings (model, environment, pattern_id);
CREATE INDEX pattern_sightings_by_age ON pattern_sightings (last_event_time);
