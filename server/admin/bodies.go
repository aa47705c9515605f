package admin

import (
	"encoding/json"
	"strconv"
)

func ruokPage(Source) object { return nil }

func readOnlyPage(source Source) object {
	return object{{"read_only", source.Stats().ReadOnly}}
}

// leaderPage says who leads: on a server that is alone, nobody.
func leaderPage(source Source) object {
	q := source.Stats().Quorum
	if q == nil {
		q = new(Quorum)
	}
	return object{{"is_leader", q.Leading}, {"leader_id", q.Leader}, {"leader_ip", q.LeaderHost}}
}

func configurationPage(source Source) object {
	s := source.Settings()
	return object{
		{"client_port", s.ClientPort},
		{"data_dir", s.DataDir},
		{"data_log_dir", s.LogDir},
		{"tick_time", s.TickMs},
		{"max_client_cnxns", s.PerAddressMax},
		{"min_session_timeout", s.SessionMinMs},
		{"max_session_timeout", s.SessionMaxMs},
		{"server_id", s.ServerID},
		{"client_port_listen_backlog", -1},
	}
}

func dirsPage(source Source) object {
	d := source.Stats().Disk
	return object{{"datadir_size", d.CheckpointBytes}, {"logdir_size", d.LogBytes}}
}

func environmentPage(source Source) object {
	var o object
	for _, p := range environment(source.Stats()) {
		o = append(o, member{p.key, p.value})
	}
	return o
}

func monitorPage(source Source) object {
	var o object
	for name, text := range figures(read(source)) {
		o = append(o, member{name, numberOrText(text)})
	}
	return o
}

func numberOrText(s string) any {
	if json.Valid([]byte(s)) {
		return json.RawMessage(s)
	}
	return s
}

func serverStatsPage(source Source) object {
	s := source.Stats()
	return object{
		{"version", versionLine(s)},
		{"read_only", s.ReadOnly},
		{"server_stats", object{
			{"packets_sent", s.Load.PacketsSent},
			{"packets_received", s.Load.PacketsReceived},
			{"data_dir_size", s.Disk.CheckpointBytes},
			{"log_dir_size", s.Disk.LogBytes},
			{"last_processed_zxid", s.Tree.Zxid},
			{"outstanding_requests", s.Load.Outstanding},
			{"server_state", s.Mode},
			{"avg_latency", json.RawMessage(double(s.Latency.AvgMs))},
			{"max_latency", s.Latency.MaxMs},
			{"min_latency", s.Latency.MinMs},
			{"num_alive_client_connections", s.Load.Connections},
			{"uptime", s.UptimeMs},
			{"auth_failed_count", s.Load.AuthFailed},
		}},
		{"node_count", s.Tree.Nodes},
	}
}

func statsPage(source Source) object {
	list := []object{}
	for _, c := range byRemote(source.Connections()) {
		list = append(list, briefPage(c))
	}
	return append(serverStatsPage(source), member{"connections", list}, member{"secure_connections", []object{}})
}

func connectionsPage(source Source) object {
	list := []object{}
	for _, c := range byRemote(source.Connections()) {
		list = append(list, append(briefPage(c), detailsPage(c)...))
	}
	return object{{"connections", list}, {"secure_connections", []object{}}}
}

func briefPage(c Connection) object {
	return object{
		{"remote_socket_address", c.Remote.String()},
		{"interest_ops", interest(c)},
		{"outstanding_requests", c.Queued},
		{"packets_received", c.Received},
		{"packets_sent", c.Sent},
	}
}

func detailsPage(c Connection) object {
	return object{
		{"session_id", c.Session},
		{"last_operation", c.LastOp},
		{"established", c.EstablishedMs},
		{"session_timeout", c.TimeoutMs},
		{"last_cxid", c.LastCxid},
		{"last_zxid", c.LastZxid},
		{"last_response_time", c.LastResponseMs},
		{"last_latency", c.LastMs},
		{"min_latency", c.MinMs},
		{"avg_latency", c.AvgMs},
		{"max_latency", c.MaxMs},
	}
}

func dumpPage(source Source) object {
	expiries, owners := object{}, object{}
	for at, set := range grouped(byExpiry(source.Sessions()), expiryOf, idOf) {
		expiries = append(expiries, member{decimal(at), set})
	}
	for owner, paths := range grouped(byOwner(source.Ephemerals()), ownerOf, nodeOf) {
		owners = append(owners, member{decimal(owner), paths})
	}
	return object{{"expiry_time_to_session_ids", expiries}, {"session_id_to_ephemeral_paths", owners}}
}

func watchSummaryPage(source Source) object {
	s := source.Stats().Watch
	return object{
		{"num_connections", s.Connections},
		{"num_paths", s.Paths},
		{"num_total_watches", s.Watches},
	}
}

func watchesPage(source Source) object {
	sessions := object{}
	for session, paths := range grouped(bySession(source.Watches()), sessionOf, pathOf) {
		sessions = append(sessions, member{decimal(session), paths})
	}
	return object{{"session_id_to_watched_paths", sessions}}
}

func watchesByPathPage(source Source) object {
	paths := object{}
	for path, sessions := range grouped(byPath(source.Watches()), pathOf, sessionOf) {
		paths = append(paths, member{path, sessions})
	}
	return object{{"path_to_session_ids", paths}}
}

func connectionResetPage(source Source) object {
	source.ResetConnections()
	return nil
}

func serverResetPage(source Source) object {
	source.ResetServer()
	return nil
}

func decimal(v int64) string { return strconv.FormatInt(v, 10) }
