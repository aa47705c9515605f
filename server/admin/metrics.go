package admin

import (
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics answers with the figures of source, under the names of ZooKeeper's own exporter, and with
// those of the Go runtime and the process. The registry is its own: nothing else can add to it.
func metrics(source Source) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collector{source},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2, Timeout: requestTimeout})
}

// collector reads the source once a scrape, so that figures of one scrape are of one moment.
type collector struct{ source Source }

// Describe implements prometheus.Collector.
func (collector) Describe(out chan<- *prometheus.Desc) {
	for _, row := range slices.Concat(scalars(&reading{}), quorumScalars(&Quorum{Leading: true})) {
		out <- describe(row.name, row.help)
	}
	for _, row := range summaries(&reading{}) {
		out <- describe(row.name, row.help)
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	r := read(c.source)
	for _, row := range slices.Concat(scalars(r), quorumScalars(r.Quorum)) {
		kind := prometheus.GaugeValue
		if row.kind == counter {
			kind = prometheus.CounterValue
		}
		out <- prometheus.MustNewConstMetric(describe(row.name, row.help), kind, row.value)
	}
	for _, row := range summaries(r) {
		if s := row.value; s != nil {
			out <- prometheus.MustNewConstSummary(
				describe(row.name, row.help), uint64(s.Count), s.Sum, row.quantilesOf(s))
		}
	}
}

func describe(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }

func (row summary) quantilesOf(s *Summary) map[float64]float64 {
	if !row.quantiles {
		return nil
	}
	return map[float64]float64{0.5: s.P50, 0.95: s.P95, 0.99: s.P99, 0.999: s.P999}
}
