-- +goose Up
-- What each success changes of a worker, apart from the rest of it.
CREATE TABLE tallies (
	worker INTEGER PRIMARY KEY,
	done   INTEGER NOT NULL,
	power  REAL NOT NULL,
	earned INTEGER NOT NULL
);
INSERT INTO tallies
SELECT id, coalesce(body ->> 'Done', 0), coalesce(body ->> 'Power', 0), coalesce(body ->> 'Earned', 0) FROM workers;
