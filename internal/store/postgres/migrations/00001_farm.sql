-- +goose Up
-- spec is what lists show of a job; body is the template, the environments and
-- the files, which only the job's own page and its workers need.
CREATE TABLE jobs (
	id       BIGINT PRIMARY KEY,
	name     TEXT NOT NULL,
	owner    TEXT NOT NULL,
	priority BIGINT NOT NULL,
	state    TEXT NOT NULL,
	paused   BOOLEAN NOT NULL,
	canceled BOOLEAN NOT NULL,
	reason   TEXT NOT NULL,
	build    TEXT NOT NULL,
	created  BIGINT NOT NULL, -- times are nanoseconds since 1970, 0 for none
	started  BIGINT NOT NULL,
	finished BIGINT NOT NULL,
	spec     TEXT NOT NULL,
	body     TEXT NOT NULL
);
CREATE INDEX jobs_live ON jobs (id) WHERE state IN ('waiting', 'running', 'paused');

CREATE TABLE steps (
	job       BIGINT NOT NULL,
	idx       BIGINT NOT NULL,
	spec      TEXT NOT NULL,
	tasks     BIGINT NOT NULL,
	state     TEXT NOT NULL,
	next      BIGINT NOT NULL,
	retrying  BIGINT NOT NULL,
	running   BIGINT NOT NULL,
	done      BIGINT NOT NULL,
	failed    BIGINT NOT NULL,
	canceled  BIGINT NOT NULL,
	seconds   DOUBLE PRECISION NOT NULL,
	slowest   DOUBLE PRECISION NOT NULL,
	fastest   DOUBLE PRECISION NOT NULL,
	PRIMARY KEY (job, idx)
);

-- A task has a row from its first lease on. state: 0 waiting, 1 running,
-- 2 done, 3 failed, 4 canceled.
CREATE TABLE tasks (
	job      BIGINT NOT NULL,
	step     BIGINT NOT NULL,
	idx      BIGINT NOT NULL,
	state    SMALLINT NOT NULL,
	since    BIGINT NOT NULL,
	attempts TEXT NOT NULL,
	outputs  TEXT NOT NULL,
	PRIMARY KEY (job, step, idx)
);
CREATE INDEX tasks_live ON tasks (job, step, idx) WHERE state < 2;
CREATE INDEX tasks_bad ON tasks (job, step, idx) WHERE state > 2;

CREATE TABLE workers (id BIGINT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE users (login TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE tokens (hash BYTEA PRIMARY KEY, login TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX tokens_login ON tokens (login);
CREATE TABLE limits (name TEXT PRIMARY KEY, total DOUBLE PRECISION NOT NULL);
CREATE TABLE vals (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE events (id BIGINT PRIMARY KEY, body TEXT NOT NULL);

-- meta holds the writer's epoch and the highest ids given, which outlast the
-- rows that had them.
CREATE TABLE meta (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
INSERT INTO meta VALUES ('job', 0), ('worker', 0);

-- Tasks of removed jobs go little by little, a slice with each commit.
CREATE TABLE purge (job BIGINT PRIMARY KEY);

-- Who the writer is and where the other servers reach it; by the secret they
-- know one another.
CREATE TABLE writer (
	one     BOOLEAN PRIMARY KEY DEFAULT true CHECK (one),
	epoch   BIGINT NOT NULL,
	address TEXT NOT NULL,
	secret  TEXT NOT NULL DEFAULT gen_random_uuid()::text || gen_random_uuid()::text
);
INSERT INTO writer (epoch, address) VALUES (0, '');
