-- +goose Up
-- Short texts that doors keep. job 0 is for those of no job.
CREATE TABLE notes (key TEXT COLLATE "C" PRIMARY KEY, job BIGINT NOT NULL, text TEXT NOT NULL);
CREATE INDEX notes_job ON notes (job) WHERE job <> 0;
