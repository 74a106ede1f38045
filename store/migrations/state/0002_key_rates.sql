-- What a key may send over time; NULL: as much as it likes.
ALTER TABLE keys ADD COLUMN records_per_second BIGINT;
ALTER TABLE keys ADD COLUMN bytes_per_second BIGINT;
