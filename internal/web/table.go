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
		{get, "jobs/{job}/why", viewer, (*visit).why, false},
		{get, "jobs/{job}/details", submitter, (*visit).details, false},
		{get, "jobs/{job}/tasks/{step}/{index}", viewer, (*visit).task, false},
		{get, "jobs/{job}/tasks/{step}/{index}/log", submitter, (*visit).log, true},
		{get, "jobs/{job}/tasks/{step}/{index}/out/{n}", viewer, (*visit).output, true},
		{get, "jobs/{job}/tasks/{step}/{index}/file/{n}", submitter, (*visit).download, true},
		{get, "workers", everyone, (*visit).workers, false},
		{get, "workers/{worker}", everyone, (*visit).worker, false},
	}
}
