-- +goose Up
CREATE TABLE builds (id BIGINT PRIMARY KEY, body TEXT NOT NULL);
INSERT INTO meta VALUES ('build', 0);

-- Files that doors made of a job's files or of a build.
CREATE TABLE packs (key TEXT PRIMARY KEY, body TEXT NOT NULL);

-- Points in thousandths. job 0 is for what was granted.
CREATE TABLE ledger (
	account TEXT NOT NULL,
	job     BIGINT NOT NULL,
	granted BIGINT NOT NULL,
	earned  BIGINT NOT NULL,
	spent   BIGINT NOT NULL,
	frames  BIGINT NOT NULL,
	updated BIGINT NOT NULL,
	PRIMARY KEY (account, job)
);
CREATE INDEX ledger_job ON ledger (job);
