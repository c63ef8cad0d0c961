//go:build unix

package agent

import (
	"context"
	"fmt"
	"os"
)

// helperWorker runs a worker with a farm of its own until it is killed; its task
// says its process id.
func helperWorker(data string) {
	f := newFakeFarm()
	w := plainJob(shell{script: "setsid sh -c 'echo $$ > " + data + "/pid.new; mv " + data + "/pid.new " + data + "/pid; exec sleep 1000'"})
	w.Job = 1000
	built, err := build(&w)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	f.jobs[1000] = &fakeJob{work: w, built: built}
	f.tasks = append(f.tasks, &fakeTask{job: 1000, state: "waiting"})
	if err := Run(context.Background(), Config{Farm: f, Files: f, Data: data, Settings: quick()}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
