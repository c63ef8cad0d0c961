package flamenco

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// handler answers a call, or says what is wrong with it.
type handler func(w http.ResponseWriter, r *http.Request) error

// verbs are the methods of a path.
type verbs map[string]handler

// table is every path of the Manager API. Comments say where it is from: doc is
// the document of 2015, G2 the workers and servers of that time, G3 those of 2016.
func (d *Door) table() map[string]verbs {
	return map[string]verbs{
		"/{$}":                        {"GET": d.index}, // G3, and the server's look whether the manager lives
		"/info":                       {"GET": d.index}, // G2: a worker's look before it registers
		"/tasks":                      {"POST": d.postTask, "GET": d.listTasks, "DELETE": d.dropTasks},
		"/tasks/{id}":                 {"GET": d.getTask, "PATCH": d.patchTask, "DELETE": d.deleteTask},
		"/tasks/thumbnails":           {"POST": d.postThumbnail},
		"/tasks/compiled/{id}":        {"GET": d.compiled},
		"/tasks/file/{id}":            {"GET": d.hasFile},
		"/tasks/zip/{id}":             {"GET": d.jobZip},
		"/tasks/zip/sup/{id}":         {"GET": d.supportZip},
		"/tasks/zip/dep/{id}":         {"GET": d.noZip},
		"/static/storage/{id}/{name}": {"GET": d.dependencies},
		"/workers":                    {"GET": d.listWorkers, "POST": d.postWorker},
		"/workers/{id}":               {"GET": d.getWorker, "PATCH": d.patchWorker},
		"/workers/status/{id}":        {"PATCH": d.patchStatus},
		"/workers/loop":               {"GET": d.loop},
		"/settings":                   {"GET": d.listSettings, "POST": d.postSettings},
		"/settings/{name}":            {"GET": d.getSetting, "PATCH": d.patchSetting},
		"/job-types":                  {"GET": d.listJobTypes},
		"/job-types/{name}":           {"GET": d.getJobType, "PATCH": d.patchJobType},
	}
}

func (d *Door) mount() {
	d.mux = http.NewServeMux()
	for path, v := range d.table() {
		d.mux.HandleFunc(path, d.answer(v))
	}
	d.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { d.refuse(w, r, notFound()) })
}

// answer finds the handler of the method.
func (d *Door) answer(v verbs) http.HandlerFunc {
	var allowed []string
	for m := range v {
		allowed = append(allowed, m)
	}
	slices.Sort(allowed)
	allow := strings.Join(allowed, ", ")
	return func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		h := v[method]
		var err error
		if h == nil {
			w.Header().Set("Allow", allow)
			err = &fault{http.StatusMethodNotAllowed, "The method is not allowed for the requested URL; it takes " + allow + "."}
		} else {
			err = h(w, r)
		}
		if err != nil {
			d.refuse(w, r, err)
		}
		d.log.Debug("request", "method", r.Method, "path", r.URL.Path, "client", r.RemoteAddr, "took", time.Since(start), "err", err)
	}
}

// number is the id in the path; anything but digits is another URL.
func number(r *http.Request) (int64, error) {
	n, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || n < 0 || r.PathValue("id")[0] == '+' {
		return 0, notFound()
	}
	return n, nil
}

func (d *Door) index(w http.ResponseWriter, _ *http.Request) error {
	send(w, http.StatusOK, map[string]string{"message": "Flamenco manager up and running!"})
	return nil
}

// loop is the tick that the original called on itself; here it runs by itself.
func (d *Door) loop(w http.ResponseWriter, _ *http.Request) error {
	send(w, http.StatusOK, nil)
	return nil
}
