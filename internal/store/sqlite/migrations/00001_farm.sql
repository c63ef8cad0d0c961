-- +goose Up
-- spec is what lists show of a job; body is the template, the environments and
-- the files, which only the job's own page and its workers need.
CREATE TABLE jobs (
	id       INTEGER PRIMARY KEY,
	name     TEXT NOT NULL,
	owner    TEXT NOT NULL,
	priority INTEGER NOT NULL,
	state    TEXT NOT NULL,
	paused   INTEGER NOT NULL,
	canceled INTEGER NOT NULL,
	reason   TEXT NOT NULL,
	build    TEXT NOT NULL,
	created  INTEGER NOT NULL, -- times are nanoseconds since 1970, 0 for none
	started  INTEGER NOT NULL,
	finished INTEGER NOT NULL,
	spec     TEXT NOT NULL,
	body     TEXT NOT NULL
);
CREATE INDEX jobs_live ON jobs (id) WHERE state IN ('waiting', 'running', 'paused');

CREATE TABLE steps (
	job       INTEGER NOT NULL,
	idx       INTEGER NOT NULL,
	spec      TEXT NOT NULL,
	tasks     INTEGER NOT NULL,
	state     TEXT NOT NULL,
	next      INTEGER NOT NULL,
	retrying  INTEGER NOT NULL,
	running   INTEGER NOT NULL,
	done      INTEGER NOT NULL,
	failed    INTEGER NOT NULL,
	canceled  INTEGER NOT NULL,
	seconds   REAL NOT NULL,
	slowest   REAL NOT NULL,
	fastest   REAL NOT NULL,
	PRIMARY KEY (job, idx)
) WITHOUT ROWID;

-- A task has a row from its first lease on. state: 0 waiting, 1 running,
-- 2 done, 3 failed, 4 canceled.
CREATE TABLE tasks (
	job      INTEGER NOT NULL,
	step     INTEGER NOT NULL,
	idx      INTEGER NOT NULL,
	state    INTEGER NOT NULL,
	since    INTEGER NOT NULL,
	attempts TEXT NOT NULL,
	outputs  TEXT NOT NULL,
	PRIMARY KEY (job, step, idx)
) WITHOUT ROWID;
CREATE INDEX tasks_live ON tasks (job, step, idx) WHERE state < 2;
CREATE INDEX tasks_bad ON tasks (job, step, idx) WHERE state > 2;

CREATE TABLE workers (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE users (login TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE tokens (hash BLOB PRIMARY KEY, login TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX tokens_login ON tokens (login);
CREATE TABLE limits (name TEXT PRIMARY KEY, total REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE vals (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE events (id INTEGER PRIMARY KEY, body TEXT NOT NULL);

-- meta holds the writer's epoch and the highest ids given, which outlast the
-- rows that had them.
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('epoch', 0), ('job', 0), ('worker', 0);

-- Tasks of removed jobs go little by little, a slice with each commit.
CREATE TABLE purge (job INTEGER PRIMARY KEY);
