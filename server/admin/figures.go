package admin

import (
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
)

// reading is everything the figures below are taken from, at one moment.
type reading struct {
	Stats
	openFiles, maxFiles int64
}

func read(source Source) *reading {
	r := &reading{Stats: source.Stats()}
	r.openFiles, r.maxFiles = descriptors()
	return r
}

// scalars and summaries hold one row per figure, under ZooKeeper's name without zk_. mntr, the
// monitor page and the metrics page all read them, in this order.
func scalars(r *reading) []scalar {
	return []scalar{
		{"ephemerals_count", gauge, "ephemeral nodes", n(r.Tree.Ephemerals)},
		{"num_alive_connections", gauge, "client connections open", n(r.Load.Connections)},
		{"avg_latency", ratio, "mean latency of a request, ms", r.Latency.AvgMs},
		{"min_latency", gauge, "shortest latency of a request, ms", n(r.Latency.MinMs)},
		{"max_latency", gauge, "longest latency of a request, ms", n(r.Latency.MaxMs)},
		{"outstanding_requests", gauge, "requests unanswered", n(r.Load.Outstanding)},
		{"znode_count", gauge, "nodes in the tree", n(r.Tree.Nodes)},
		{"watch_count", gauge, "watches armed", n(r.Watch.Watches)},
		{"approximate_data_size", gauge, "paths and data, bytes", n(r.Tree.DataBytes)},
		{"global_sessions", gauge, "sessions alive", n(r.Tree.Sessions)},
		{"local_sessions", gauge, "sessions of read-only clients, known to this server alone", n(r.Load.LocalSessions)},
		{"packets_received", gauge, "frames received", n(r.Load.PacketsReceived)},
		{"packets_sent", gauge, "replies and events sent", n(r.Load.PacketsSent)},
		{"bytes_received_count", counter, "bytes received", n(r.Load.BytesReceived)},
		{"response_bytes", counter, "bytes sent", n(r.Load.BytesSent)},
		{"connection_request_count", counter, "connections accepted", n(r.Load.Accepted)},
		{"connection_rejected", counter, "connections over a limit", n(r.Load.Rejected)},
		{"connection_drop_count", counter, "connections closed by the server", n(r.Load.Dropped)},
		{"sessionless_connections_expired", counter, "connections that never spoke", n(r.Load.Unspoken)},
		{"large_requests_rejected", counter, "frames over the limit", n(r.Load.FramesTooLong)},
		{"auth_failed_count", gauge, "authentications refused", n(r.Load.AuthFailed)},
		{"stale_sessions_expired", counter, "sessions expired", n(r.Tree.SessionsExpired)},
		{"open_file_descriptor_count", gauge, "files and sockets open", n(r.openFiles)},
		{"max_file_descriptor_count", gauge, "files and sockets allowed", n(r.maxFiles)},
		{"uptime", gauge, "since the start, ms", n(r.UptimeMs)},
	}
}

// quorumScalars are those of a member of a quorum: all of them on its leader, on the others the first six.
func quorumScalars(q *Quorum) []scalar {
	if q == nil {
		return nil
	}
	rows := []scalar{
		{"quorum_size", gauge, "members that vote", n(q.Voters)},
		{"commands_pending", gauge, "commands of this server on their way through the log", n(q.Pending)},
		{"peer_handshakes_refused", counter, "handshakes with other servers that failed", n(q.Refused)},
		{"peer_frames_corrupt", counter, "frames of other servers with a wrong checksum", n(q.Corrupt)},
		{"peer_losses", counter, "times that messages to a server may have been lost", n(q.Lost)},
		{"states_diverged", counter, "times that this state was not that of another server", n(q.Diverged)},
		{"synced_followers", gauge, "other voters that keep up with the leader", n(q.SyncedFollowers)},
		{"synced_observers", gauge, "observers that keep up with the leader", n(q.SyncedObservers)},
		{"learners", gauge, "servers that follow the leader", n(q.Learners)},
		{"leader_uptime", gauge, "since the leader leads, ms", n(q.LeaderUptimeMs)},
	}
	if !q.Leading {
		return rows[:6]
	}
	return rows
}

func summaries(r *reading) []summary {
	return []summary{
		{"readlatency", true, "latency of reads, ms", r.Latency.Read},
		{"updatelatency", true, "latency of writes, ms", r.Latency.Update},
		{"fsynctime", false, "one sync of the log, ms", r.Latency.Fsync},
		{"snapshottime", false, "one checkpoint, ms", r.Latency.Checkpoint},
		{"dbinittime", false, "loading the data directory, ms", r.Latency.Start},
		{"startup_txns_loaded", false, "log entries replayed at the start", single(r.Tree.EntriesReplayed)},
		{"node_created_watch_count", false, "connections told of a creation", r.Watch.Created},
		{"node_deleted_watch_count", false, "connections told of a deletion", r.Watch.Deleted},
		{"node_changed_watch_count", false, "connections told of new data", r.Watch.Changed},
		{"node_children_watch_count", false, "connections told of new children", r.Watch.Children},
	}
}

type scalar struct {
	name  string
	kind  kind
	help  string
	value float64
}

type summary struct {
	name      string
	quantiles bool // ZooKeeper's "advanced" summaries
	help      string
	value     *Summary // nil: not measured, not shown
}

type kind uint8

const (
	gauge   kind = iota // a whole number that goes up and down
	counter             // one that only grows
	ratio               // a gauge with places after the point
)

func n(v int64) float64 { return float64(v) }

func single(v int64) *Summary {
	f := float64(v)
	return &Summary{Count: 1, Sum: f, Min: f, Max: f}
}

func mntr(source Source, w io.Writer) {
	for name, value := range figures(read(source)) {
		fmt.Fprintf(w, "zk_%s\t%s\n", name, value)
	}
}

// figures yields name and value as text, in the order in which mntr prints them. All values but
// the first two are numbers.
func figures(r *reading) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		if !yield("version", versionLine(r.Stats)) || !yield("server_state", r.Mode) {
			return
		}
		for _, row := range slices.Concat(scalars(r), quorumScalars(r.Quorum)) {
			if !yield(row.name, row.text()) {
				return
			}
		}
		for _, row := range summaries(r) {
			for _, p := range row.texts() {
				if !yield(p.key, p.value) {
					return
				}
			}
		}
	}
}

func (row scalar) text() string {
	if row.kind == ratio {
		return double(row.value)
	}
	return whole64(row.value)
}

func (row summary) texts() []pair {
	s := row.value
	if s == nil {
		return nil
	}
	list := []pair{
		{"avg_" + row.name, double(s.avg())},
		{"min_" + row.name, whole64(s.Min)},
		{"max_" + row.name, whole64(s.Max)},
		{"cnt_" + row.name, strconv.FormatInt(s.Count, 10)},
		{"sum_" + row.name, whole64(s.Sum)},
	}
	if row.quantiles {
		list = append(list,
			pair{"p50_" + row.name, whole64(s.P50)},
			pair{"p95_" + row.name, whole64(s.P95)},
			pair{"p99_" + row.name, whole64(s.P99)},
			pair{"p999_" + row.name, whole64(s.P999)})
	}
	return list
}

func (s *Summary) avg() float64 {
	if s.Count == 0 {
		return 0
	}
	return s.Sum / float64(s.Count)
}

// whole64 writes v without places, as ZooKeeper does: its figures are whole milliseconds.
func whole64(v float64) string { return strconv.FormatInt(int64(v+0.5), 10) }
