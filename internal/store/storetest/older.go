package storetest

import (
	"testing"

	"drover.farm/internal/farm"
)

// Older fills the tables of form 3, in which a worker's tally was part of its
// body and a task went by its job, step and index.
var Older = []string{
	`INSERT INTO workers (id, body) VALUES (3, '{"ID":3,"Name":"a\u0000b","Done":7,"Power":1.25,"Earned":1500,"Failed":2}'), (4, '{"ID":4,"Name":"new"}')`,
	`INSERT INTO jobs (id, name, owner, priority, state, paused, canceled, reason, build, created, started, finished, spec, body) VALUES
		(1001, 'b', 'ann', 50, 'running', '0', '0', '', '', 0, 0, 0, '{}', '{}'), (1000, 'a', 'ann', 50, 'running', '0', '0', '', '', 0, 0, 0, '{}', '{}')`,
	`INSERT INTO steps (job, idx, spec, tasks, state, next, retrying, running, done, failed, canceled, seconds, slowest, fastest) VALUES
		(1000, 0, '{"name":"A"}', 9, 'ready', 9, 0, 0, 0, 0, 0, 0, 0, 0), (1000, 1, '{"name":"B"}', 9, 'ready', 9, 0, 0, 0, 0, 0, 0, 0, 0),
		(1001, 0, '{"name":"A"}', 9, 'ready', 9, 0, 0, 0, 0, 0, 0, 0, 0)`,
	`INSERT INTO tasks (job, step, idx, state, since, attempts, outputs) VALUES
		(1001, 0, 8, 1, 0, '', ''), (1000, 1, 0, 3, 2, '', ''), (1000, 0, 7, 2, 0, '[{"lease":1,"worker":3,"name":"w","started":"2026-09-21T14:13:20.123456789Z"}]', ''), (999, 0, 1, 1, 0, '', '')`,
	`INSERT INTO purge (job) VALUES (999)`,
}

// OpenedOlder checks that a store which was brought forward from what Older made
// has all of it, and goes on from there.
func OpenedOlder(t *testing.T, s farm.Store) {
	t.Helper()
	b := &bundle{t: t, s: s}
	b.acquire()
	workers := []*farm.Worker{{ID: 3, Name: "a\x00b", Done: 7, Power: 1.25, Earned: 1500, Failed: 2}, {ID: 4, Name: "new"}}
	first := &farm.Task{TaskKey: farm.TaskKey{Job: 1000, Index: 7}, State: farm.TaskDone, Attempts: []farm.Attempt{{Lease: 1, Worker: 3, Name: "w", Started: epochTime}}}
	second := &farm.Task{TaskKey: farm.TaskKey{Job: 1000, Step: 1}, State: farm.TaskFailed, Since: 2}
	running := &farm.Task{TaskKey: farm.TaskKey{Job: 1001, Index: 8}, State: farm.TaskRunning}
	b.same("workers", b.load().Workers, workers)
	b.same("live tasks", b.load().Tasks, []*farm.Task{running})
	b.same("the tasks of a job", must[[]*farm.Task](t)(s.Tasks(t.Context(), farm.TaskQuery{Job: 1000, Step: -1})), []*farm.Task{first, second})
	workers[1].Done, workers[1].Power, workers[1].Earned = 1, 0.5, 10
	running.State = farm.TaskDone
	b.commit(&farm.Batch{NewJobs: []*farm.Job{sample(1002)}, Tallies: workers[1:], Tasks: []*farm.Task{running, task(1002, 1, 0, farm.TaskRunning)}})
	b.same("workers after a success", b.load().Workers, workers)
	b.same("a task that was done since", must[*farm.Task](t)(s.Task(t.Context(), running.TaskKey)), running)
	b.same("live tasks of the new job", b.load().Tasks, []*farm.Task{task(1002, 1, 0, farm.TaskRunning)})
}
