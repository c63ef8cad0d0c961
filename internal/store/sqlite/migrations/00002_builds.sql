-- +goose Up
CREATE TABLE builds (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
INSERT INTO meta VALUES ('build', 0);

-- Files that doors made of a job's files or of a build.
CREATE TABLE packs (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;

-- Points in thousandths. job 0 is for what was granted.
CREATE TABLE ledger (
	account TEXT NOT NULL,
	job     INTEGER NOT NULL,
	granted INTEGER NOT NULL,
	earned  INTEGER NOT NULL,
	spent   INTEGER NOT NULL,
	frames  INTEGER NOT NULL,
	updated INTEGER NOT NULL,
	PRIMARY KEY (account, job)
) WITHOUT ROWID;
CREATE INDEX ledger_job ON ledger (job);
