package native

import (
	"net/http"
	"slices"

	"drover.farm/internal/api"
)

const (
	get  = http.MethodGet
	post = http.MethodPost
	put  = http.MethodPut
	del  = http.MethodDelete
	pat  = http.MethodPatch
)

// The parameters that several routes have.
var (
	limitParam  = param{"limit", "integer", "how many at most"}
	afterParam  = param{"after", "string", "the cursor \"next\" of the page before"}
	stepParam   = param{"step", "string", "only this step: its name, or its number from 0"}
	workerParam = param{"worker", "integer", "the worker that holds the lease"}
)

// table is all routes there are.
func (d *door) table() []route {
	return slices.Concat(d.jobRoutes(), d.workerRoutes(), d.blobRoutes(), d.buildRoutes(), d.accountRoutes(), d.farmRoutes())
}

func (d *door) jobRoutes() []route {
	return []route{
		{method: post, path: "/jobs", access: submitter, summary: "Submit a job", maxBody: jobBody, handler: take(201, d.submit),
			help: "All is checked before anything is kept: an accepted job can be rendered. The blobs of its files are uploaded before."},
		{method: get, path: "/jobs", access: submitter, summary: "List jobs, newest first", handler: give(200, d.jobs), query: []param{
			{"state", "string", "only these states, with commas between"}, {"owner", "string", "only this account's"},
			{"name", "string", "only those of exactly this name"}, limitParam, afterParam}},
		{method: get, path: "/jobs/{job}", access: submitter, summary: "Show a job", handler: give(200, d.job)},
		{method: pat, path: "/jobs/{job}", access: submitter, summary: "Change a job's priority, or the version of its renderer", handler: take(200, d.patchJob),
			help: "As every change of a job: one's own, or with the role operator."},
		{method: del, path: "/jobs/{job}", access: submitter, summary: "Remove a job that has ended", handler: give(204, d.removeJob)},
		{method: post, path: "/jobs/{job}/cancel", access: submitter, summary: "Cancel a job; running tasks are stopped", noBody: true, handler: change(d.Farm.Cancel)},
		{method: post, path: "/jobs/{job}/pause", access: submitter, summary: "Pause a job; running tasks finish", noBody: true, handler: change(d.Farm.Pause)},
		{method: post, path: "/jobs/{job}/resume", access: submitter, summary: "Resume a paused job", noBody: true, handler: change(d.Farm.Resume)},
		{method: post, path: "/jobs/{job}/retry", access: submitter, summary: "Try failed and canceled tasks again", noBody: true, maxBody: 1 << 20, handler: take(200, d.retry)},
		{method: get, path: "/jobs/{job}/why", access: submitter, summary: "Explain why a job is where it is", handler: give(200, d.why)},
		{method: get, path: "/jobs/{job}/ledger", access: submitter, summary: "What accounts earned and spent by a job", help: "One's own job's, or with the role admin.", handler: give(200, d.jobLedger)},
		{method: get, path: "/jobs/{job}/tasks", access: submitter, summary: "List tasks by step and index", handler: give(200, d.tasks), query: []param{
			stepParam, {"state", "string", "only these states, with commas between"}, limitParam, afterParam}},
		{method: get, path: "/jobs/{job}/tasks/{step}/{index}", access: submitter, summary: "Show a task with its attempts", handler: give(200, d.task)},
		{method: get, path: "/jobs/{job}/tasks/{step}/{index}/log", access: submitter, summary: "Read the log of an attempt",
			help:    "The uploaded log can be read by ranges; that of a running attempt is what is there of it.",
			query:   []param{{"attempt", "integer", "which one, from 1; the last by default"}, {"follow", "boolean", "1: send what comes until the attempt has ended"}},
			handler: raw(d.taskLog, content{status: 200, kind: "text/plain"}, content{status: 206, kind: "text/plain"})},
		{method: get, path: "/jobs/{job}/outputs", access: submitter, summary: "List the outputs of done tasks", handler: give(200, d.outputs),
			query: []param{stepParam, limitParam, afterParam}, help: "The limit counts tasks."},
		{method: get, path: "/jobs/{job}/outputs.zip", access: submitter, summary: "Fetch the outputs of done tasks as a zip file", query: []param{stepParam},
			handler: raw(d.zipOutputs, content{status: 200, kind: "application/zip"})},
	}
}

func (d *door) workerRoutes() []route {
	return []route{
		{method: post, path: "/workers", access: renderer, summary: "Register a worker", maxBody: 1 << 20, handler: take(201, d.register),
			help: "The same key and account are the same worker again; leases that it does not hold any more go back at once."},
		{method: get, path: "/workers", access: anybody, summary: "List workers", handler: give(200, d.workers), help: "An account with the role renderer alone sees its own."},
		{method: get, path: "/workers/{worker}", access: anybody, summary: "Show a worker", handler: give(200, d.worker)},
		{method: get, path: "/workers/{worker}/history", access: anybody, summary: "What a worker did lately", handler: give(200, d.history),
			help: "Kept beside the worker and written down once a minute; tasks keep all of their attempts."},
		{method: pat, path: "/workers/{worker}", access: anybody, summary: "Enable or disable a worker, set its tags or rules", handler: take(200, d.patchWorker),
			help: "One's own, or with the role operator."},
		{method: del, path: "/workers/{worker}", access: anybody, summary: "Remove a worker; its tasks go back", handler: give(204, d.removeWorker),
			help: "One's own, or with the role operator."},
		{method: post, path: "/workers/{worker}/claim", access: renderer, summary: "Claim a task", noBody: true, maybe: true, holds: true, handler: take(200, d.claim),
			help: "Held until there is a task, at most wait seconds (60); 204 when there was none."},
		{method: post, path: "/workers/{worker}/heartbeat", access: renderer, summary: "Renew leases and hear what to stop", maxBody: 4 << 20, holds: true, handler: take(200, d.heartbeat),
			help: "Held until there is something to stop, at most wait seconds (60). Leases that are not named go back."},
		{method: post, path: "/workers/{worker}/return", access: renderer, summary: "Give leases back untried", handler: take(204, d.giveBack)},
		{method: post, path: "/workers/{worker}/signoff", access: renderer, summary: "End the worker's session", handler: give(204, d.signOff)},
		{method: get, path: "/leases/{lease}/work", access: renderer, summary: "What it takes to open a session of the lease's job", query: []param{workerParam}, handler: give(200, d.work)},
		{method: get, path: "/leases/{lease}/inputs", access: renderer, summary: "Outputs of the steps that the lease's step depends on", query: []param{workerParam, afterParam}, handler: give(200, d.inputs)},
		{method: post, path: "/leases/{lease}/complete", access: renderer, summary: "Report a task as done, and ask for the next", maxBody: largeBody, handler: take(200, d.complete),
			help: "May be repeated. Blobs of outputs and log are uploaded before. A picture that is not what the job asks for makes the attempt a failure, as the verdict tells."},
		{method: post, path: "/leases/{lease}/fail", access: renderer, summary: "Report an attempt as failed, and ask for the next task", maxBody: largeBody, handler: take(200, d.failed)},
		{method: put, path: "/leases/{lease}/log", access: renderer, summary: "Add to the live log of a running attempt",
			help:    "Bytes below the offset that are there already are passed over, so it can be repeated; at most 1 MiB at once.",
			query:   []param{workerParam, {"offset", "integer", "where in the log the body begins, in bytes"}},
			handler: raw(d.putLog, content{request: true, kind: "text/plain"}, content{status: 204})},
	}
}

func (d *door) blobRoutes() []route {
	tus := func(summary, method, path string, status int, cs ...content) route {
		return route{method: method, path: path, access: anybody, own: true, summary: summary,
			help:    "The resumable uploads of tus 1.0.0: core, creation, creation-with-upload, expiration, termination; metadata sha256 announces the content.",
			handler: raw(d.upload, append(cs, content{status: status})...)}
	}
	bytes := content{request: true, kind: "application/offset+octet-stream"}
	return []route{
		{method: post, path: "/blobs/missing", access: anybody, summary: "Which of these blobs the farm lacks", maxBody: largeBody, handler: take(200, d.missing)},
		{method: get, path: "/blobs/{sha256}", access: anybody, summary: "Read a blob, whole or by ranges", query: []param{{"name", "string", "the name to save it under"}},
			help: "Any blob with the role submitter; else the files of tasks that the account's workers hold.",
			handler: raw(d.getBlob, content{status: 200, kind: "application/octet-stream"}, content{status: 206, kind: "application/octet-stream"},
				content{status: 304}, content{status: 416})},
		{method: put, path: "/blobs/{sha256}", access: anybody, summary: "Upload a blob in one go", help: "200 instead of 201 when a client that expects 100 Continue is spared sending it.",
			handler: withOut[api.Blob](raw(d.putBlob, content{request: true, kind: "application/octet-stream"}, content{status: 200}), 201)},
		tus("What the farm speaks of tus", http.MethodOptions, "/uploads/{$}", 204),
		tus("Begin an upload", post, "/uploads/{$}", 201, bytes),
		tus("How far an upload is", http.MethodHead, "/uploads/{id}", 200),
		tus("Go on with an upload", pat, "/uploads/{id}", 204, bytes),
		tus("Give an upload up", del, "/uploads/{id}", 204),
	}
}

func (d *door) buildRoutes() []route {
	return []route{
		{method: get, path: "/builds", access: anybody, summary: "List the builds of renderers in the library", handler: give(200, d.builds),
			query: []param{{"product", "string", "only this renderer's"}}},
		{method: post, path: "/builds", access: anybody, summary: "Add a build of a renderer to the library", holds: true, handler: take(200, d.addBuild),
			help: "The archive is uploaded before. What it is, which version and for which system is read from its content; what the body says of it overrules that. A build that is there already is answered as it is. It takes the role operator; what an account with the role renderer adds is set aside until an operator takes it."},
		{method: get, path: "/builds/{build}", access: anybody, summary: "Show a build of a renderer", handler: give(200, d.build)},
		{method: pat, path: "/builds/{build}", access: operator, summary: "Make a build usable, set it aside, retire it or try it", handler: take(200, d.patchBuild),
			help: "On trial only some workers have it, until each has done a task with it; when too many tasks fail it is set aside. Setting aside is the way back: jobs without frames begin with the version before."},
		{method: del, path: "/builds/{build}", access: operator, summary: "Remove a build that no job needs", handler: give(204, d.removeBuild)},
	}
}

func (d *door) accountRoutes() []route {
	return []route{
		{method: post, path: "/join", access: public, summary: "Turn a one-time token into a lasting one", handler: take(200, d.join),
			help: "The one-time token comes from the page, under Workers. May be tried again with the lasting token when the answer was lost: GET /account tells whether it counts."},
		{method: get, path: "/account", access: anybody, summary: "Who asks", handler: give(200, d.me)},
		{method: get, path: "/users", access: admin, summary: "List accounts", handler: give(200, d.users)},
		{method: post, path: "/users", access: admin, summary: "Add an account", handler: take(201, d.addUser)},
		{method: get, path: "/users/{login}", access: anybody, summary: "Show an account", help: "One's own, or with the role admin.", handler: give(200, d.user)},
		{method: pat, path: "/users/{login}", access: anybody, summary: "Change an account", help: "The password of one's own account; the weight with the role operator; else with the role admin.", handler: take(200, d.patchUser)},
		{method: del, path: "/users/{login}", access: admin, summary: "Remove an account and its tokens; its jobs stay", handler: give(204, d.removeUser)},
		{method: get, path: "/users/{login}/ledger", access: anybody, summary: "What an account earned, spent and was granted, the newest job first", query: []param{limitParam, afterParam}, handler: give(200, d.ledger),
			help: "One's own, or with the role admin."},
		{method: post, path: "/users/{login}/grants", access: admin, summary: "Grant an account points, or take some", handler: take(200, d.grant),
			help: "The answer has the first lines of its ledger."},
		{method: post, path: "/users/{login}/tokens", access: anybody, summary: "Make a token", noBody: true, handler: take(201, d.addToken),
			help: "It is shown this once. For one's own account, or with the role admin."},
		{method: del, path: "/users/{login}/tokens", access: anybody, summary: "Revoke an account's credentials", handler: give(200, d.revokeTokens),
			query: []param{{"kind", "string", "only those of this kind: token, publickey, session"}}, help: "Of one's own account, or with the role admin."},
	}
}

func (d *door) farmRoutes() []route {
	return []route{
		{method: get, path: "/farm", access: anybody, summary: "The farm at a glance", handler: give(200, d.status)},
		{method: put, path: "/retention", access: operator, summary: "Set for how many days jobs are kept after their end", help: "0 keeps them until somebody removes them. What is older goes soon, with its frames and logs.", handler: take(200, d.retention)},
		{method: put, path: "/maintenance", access: operator, summary: "Turn maintenance on or off", help: "While it is on no work is handed out; running tasks finish.", handler: take(200, d.maintenance)},
		{method: get, path: "/limits", access: anybody, summary: "List limits", handler: give(200, d.limits)},
		{method: put, path: "/limits/{name}", access: operator, summary: "Set a limit", handler: take(200, d.putLimit),
			help: "Steps whose host requirements name the amount draw on it."},
		{method: del, path: "/limits/{name}", access: operator, summary: "Remove a limit", handler: give(204, d.removeLimit)},
		{method: get, path: "/environments", access: submitter, summary: "List the environments that jobs run in, outermost first", handler: give(200, d.environments)},
		{method: post, path: "/environments", access: operator, summary: "Set an environment for the jobs to come", maxBody: jobBody, handler: take(200, d.setEnvironment),
			help: "The template names it; one of the same name is replaced. With a tag it is for jobs alone that ask for workers with that tag."},
		{method: del, path: "/environments/{name}", access: operator, summary: "Remove an environment; jobs that run in it keep it", handler: give(204, d.removeEnvironment)},
		{method: get, path: "/events", access: submitter, summary: "What happens, as server-sent events", holds: true,
			help:    "Goes on after the header Last-Event-ID or the parameter after, else from now on. An event \"reset\" means that some were missed for good.",
			query:   []param{{"after", "integer", "the id of the last event seen"}, {"job", "integer", "only this job's"}},
			handler: raw(d.events, content{status: 200, kind: "text/event-stream"})},
		{method: get, path: "/openapi.json", access: public, summary: "This API as an OpenAPI document", handler: raw(d.describe, content{status: 200, kind: "application/json"})},
	}
}
