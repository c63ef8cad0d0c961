-- +goose Up
-- Short texts that doors keep. job 0 is for those of no job.
CREATE TABLE notes (key TEXT PRIMARY KEY, job INTEGER NOT NULL, text TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX notes_job ON notes (job) WHERE job <> 0;
