-- Searches that people keep under a name.
CREATE TABLE searches (
    id           TEXT   PRIMARY KEY,
    name         TEXT   NOT NULL UNIQUE,
    address      TEXT   NOT NULL,
    created_by   TEXT   NOT NULL,
    created_time BIGINT NOT NULL
);
