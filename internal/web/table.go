package web

import "net/http"

const (
	get  = http.MethodGet
	post = http.MethodPost
)

// table is all routes there are, but for the files that pages are drawn with.
func (s *site) table() []route {
	return []route{
		{get, "login", open, (*visit).login, false},
		{post, "login", open, (*visit).signIn, false},
		{post, "logout", signedIn, (*visit).signOut, false},
		{post, "theme", open, (*visit).setTheme, false},

		{get, "{$}", everyone, (*visit).home, false},
		{get, "live", everyone, (*visit).live, true},
		{get, "jobs", viewer, (*visit).jobs, false},
		{get, "jobs/{job}", viewer, (*visit).job, false},
		{get, "jobs/{job}/thumb", viewer, (*visit).jobThumb, true},
		{get, "jobs/{job}/cells", viewer, (*visit).cells, false},
		{get, "jobs/{job}/film", viewer, (*visit).film, false},
		{get, "jobs/{job}/frames", viewer, (*visit).frames, false},
		{get, "jobs/{job}/film.mp4", submitter, (*visit).filmMP4, true},
		{get, "jobs/{job}/sheet", viewer, (*visit).sheetPNG, true},
		{get, "jobs/{job}/outputs.zip", submitter, (*visit).zip, true},
		{get, "jobs/{job}/timeline", viewer, (*visit).timeline, false},
		{post, "jobs/{job}/pause", submitter, pauseJob, false},
		{post, "jobs/{job}/resume", submitter, resumeJob, false},
		{post, "jobs/{job}/cancel", submitter, cancelJob, false},
		{post, "jobs/{job}/remove", submitter, removeJob, false},
		{post, "jobs/{job}/undo", submitter, undoJob, false},
		{post, "jobs/{job}/retry", submitter, retryJob, false},
		{post, "jobs/{job}/priority", submitter, setPriority, false},
		{post, "jobs/{job}/build", submitter, moveJob, false},
		{get, "jobs/{job}/why", viewer, (*visit).why, false},
		{get, "jobs/{job}/details", submitter, (*visit).details, false},
		{get, "jobs/{job}/tasks/{step}/{index}", viewer, (*visit).task, false},
		{get, "jobs/{job}/tasks/{step}/{index}/log", submitter, (*visit).log, true},
		{get, "jobs/{job}/tasks/{step}/{index}/out/{n}", viewer, (*visit).output, true},
		{get, "jobs/{job}/tasks/{step}/{index}/attempts/{attempt}/out/{n}", viewer, (*visit).output, true},
		{get, "jobs/{job}/tasks/{step}/{index}/file/{n}", submitter, (*visit).download, true},
		{get, "jobs/{job}/tasks/{step}/{index}/attempts/{attempt}/file/{n}", submitter, (*visit).download, true},
		{get, "submit", submitter, (*visit).submitPage, false},
		{post, "submit", submitter, (*visit).submit, false},
		{post, "submit/read", submitter, (*visit).readUpload, false},
		{post, "uploads/{$}", signedIn, (*visit).upload, true},
		{http.MethodHead, "uploads/{id}", signedIn, (*visit).upload, true},
		{http.MethodPatch, "uploads/{id}", signedIn, (*visit).upload, true},
		{http.MethodDelete, "uploads/{id}", signedIn, (*visit).upload, true},
		{get, "workers", everyone, (*visit).workers, false},
		{get, "workers/add", signedIn, (*visit).addWorkerPage, false},
		{post, "workers/add", signedIn, (*visit).makeJoin, false},
		{get, "workers/{worker}", everyone, (*visit).worker, false},
		{post, "workers/{worker}", signedIn, (*visit).changeWorker, false},
		{get, "account", signedIn, (*visit).account, false},
		{get, "account/points", signedIn, (*visit).ownPoints, false},
		{post, "account/password", signedIn, (*visit).setPassword, false},
		{post, "account/token", signedIn, (*visit).makeToken, false},
		{post, "account/revoke", signedIn, (*visit).revoke, false},
		{get, "users", admin, (*visit).users, false},
		{post, "users", admin, (*visit).addUser, false},
		{get, "users/points", admin, (*visit).points, false},
		{post, "users/{login}/points", admin, (*visit).changePoints, false},
		{post, "users/{login}/weight", admin, (*visit).setWeight, false},
		{post, "users/{login}", admin, (*visit).changeUser, false},
		{get, "settings", operator, (*visit).settings, false},
		{post, "settings", operator, (*visit).changeSettings, false},
		{get, "renderers", signedIn, (*visit).renderers, false},
		{post, "renderers", signedIn, (*visit).addBuild, false},
		{post, "renderers/{build}", operator, (*visit).changeBuild, false},
	}
}
