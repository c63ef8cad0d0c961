-- +goose Up
-- What each success changes of a worker, apart from the rest of it. Half of each
-- page is left free: most writes are of rows that are there, whose new version
-- then goes beside the old one.
CREATE TABLE tallies (
	worker BIGINT PRIMARY KEY,
	done   BIGINT NOT NULL,
	power  DOUBLE PRECISION NOT NULL,
	earned BIGINT NOT NULL
) WITH (fillfactor = 50);
-- Names may have the character 0, which PostgreSQL's json does not take.
INSERT INTO tallies
SELECT id, coalesce((body ->> 'Done')::bigint, 0), coalesce((body ->> 'Power')::double precision, 0), coalesce((body ->> 'Earned')::bigint, 0)
FROM (SELECT id, replace(body, '\u0000', '\u0001')::json AS body FROM workers) AS w;
