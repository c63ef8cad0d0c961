package server

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"drover.farm/internal/farm"
)

// metrics serves the figures of a farm in Prometheus' text form.
func (s *Server) metrics(f *farm.Farm) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), figures{s, f})
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{ErrorLog: nil, Timeout: 10 * time.Second})
}

// figures reads the farm's figures when somebody asks for them.
type figures struct {
	s    *Server
	farm *farm.Farm
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("drover_"+name, help, labels, nil)
}

var (
	descInfo        = desc("info", "The program that runs, always 1.", "version")
	descReady       = desc("ready", "1 when the farm takes work in and hands it out.")
	descBatches     = desc("batches_total", "Transactions written.")
	descOps         = desc("operations_total", "Requests applied by the dispatcher.")
	descClaims      = desc("claims_total", "Leases handed out.")
	descCompletions = desc("completions_total", "Results accepted.")
	descShed        = desc("shed_total", "Requests turned away because the dispatcher's queue was full.")
	descLooks       = desc("looks_total", "Looks for work that a worker might have; some few for each lease, however many workers wait.")
	descQueue       = desc("queue", "Requests that wait for the dispatcher.")
	descJobs        = desc("jobs", "Jobs that have not ended.")
	descTasks       = desc("tasks", "Tasks of these jobs.", "state")
	descWaiting     = desc("tasks_waiting", "Tasks that wait for a worker; what to scale workers by.")
	descWorkers     = desc("workers", "Workers.", "state")
	descLimit       = desc("limit_total", "Size of a limit.", "limit")
	descLimitUse    = desc("limit_in_use", "How much of a limit is in use.", "limit")
	descMaintenance = desc("maintenance", "1 while no new work is handed out.")
	descFiles       = desc("files", "Files in the store.")
	descFileBytes   = desc("files_bytes", "Bytes of the files in the store.")
	descFileQuota   = desc("files_quota_bytes", "Quota of the store of files, 0 for none.")
	descFree        = desc("disk_free_bytes", "Free bytes of the file system that holds the files.")
	descLogs        = desc("live_logs_bytes", "Bytes of live logs.")
)

// Describe says nothing: which limits there are is known only when asked.
func (f figures) Describe(chan<- *prometheus.Desc) {}

// Collect reads all figures.
func (f figures) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(descInfo, 1, f.s.cfg.Version)
	gauge(descReady, flag(f.farm.Ready() == nil))
	f.dispatcher(out, gauge)
	if st, err := f.farm.Status(ctx); err == nil {
		state(st, gauge)
	}
	if d, ok := f.s.blobs.(diskFiles); !ok {
		// A bucket does not say what it holds.
	} else if u, err := d.Usage(ctx); err == nil {
		gauge(descFiles, float64(u.Blobs))
		gauge(descFileBytes, float64(u.Bytes))
		gauge(descFileQuota, float64(u.Limit))
		gauge(descFree, float64(u.Free))
	}
	gauge(descLogs, float64(f.s.live.Total()))
}

func (f figures) dispatcher(out chan<- prometheus.Metric, gauge func(*prometheus.Desc, float64, ...string)) {
	m := f.farm.Metrics()
	for d, v := range map[*prometheus.Desc]int64{
		descBatches: m.Batches, descOps: m.Operations, descClaims: m.Claims, descCompletions: m.Completions, descShed: m.Shed, descLooks: m.Looks,
	} {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	gauge(descQueue, float64(m.Queued))
}

func state(st *farm.FarmStatus, gauge func(*prometheus.Desc, float64, ...string)) {
	gauge(descJobs, float64(st.Jobs))
	gauge(descTasks, float64(st.Waiting), "waiting")
	gauge(descTasks, float64(st.Running), "running")
	gauge(descWaiting, float64(st.Waiting))
	gauge(descMaintenance, flag(st.Maintenance))
	for name, n := range st.Workers {
		gauge(descWorkers, float64(n), string(name))
	}
	for _, l := range st.Limits {
		gauge(descLimit, l.Total, l.Name)
		gauge(descLimitUse, l.InUse, l.Name)
	}
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}
