-- The clusters of each model's inferences, as JSON: what an inference is assigned to when it comes.
CREATE TABLE clusterings (
    model       TEXT   PRIMARY KEY,
    body        TEXT   NOT NULL,
    fitted_time BIGINT NOT NULL
);
