-- Alert rules that people made from a search. notify: the receivers' names as a JSON list; NULL: everybody.
CREATE TABLE search_rules (
    name           TEXT   PRIMARY KEY,
    query          TEXT   NOT NULL,
    environment    TEXT,
    above          BIGINT NOT NULL,
    window_seconds BIGINT NOT NULL,
    severity       TEXT   NOT NULL,
    notify         TEXT,
    created_by     TEXT   NOT NULL,
    created_time   BIGINT NOT NULL
);
