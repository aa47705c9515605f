package admin

import (
	"fmt"
	"io"
	"os"
	"os/user"
	"runtime"
)

func conf(source Source, w io.Writer) {
	s, d := source.Settings(), source.Stats().Disk
	fmt.Fprintf(w, "clientPort=%d\n", s.ClientPort)
	fmt.Fprint(w, "secureClientPort=-1\n")
	fmt.Fprintf(w, "dataDir=%s\n", s.DataDir)
	fmt.Fprintf(w, "dataDirSize=%d\n", d.CheckpointBytes)
	fmt.Fprintf(w, "dataLogDir=%s\n", s.LogDir)
	fmt.Fprintf(w, "dataLogSize=%d\n", d.LogBytes)
	fmt.Fprintf(w, "tickTime=%d\n", s.TickMs)
	fmt.Fprintf(w, "maxClientCnxns=%d\n", s.PerAddressMax)
	fmt.Fprintf(w, "minSessionTimeout=%d\n", s.SessionMinMs)
	fmt.Fprintf(w, "maxSessionTimeout=%d\n", s.SessionMaxMs)
	fmt.Fprint(w, "clientPortListenBacklog=-1\n")
	fmt.Fprintf(w, "serverId=%d\n", s.ServerID)
	if m := s.Member; m != nil {
		fmt.Fprintf(w, "initLimit=%d\nsyncLimit=%d\nelectionAlg=3\n", m.InitLimit, m.SyncLimit)
		fmt.Fprintf(w, "electionPort=%d\nquorumPort=%d\npeerType=%d\n", m.ElectionPort, m.QuorumPort, m.peerType())
		fmt.Fprintf(w, "membership: \n%s", m.Table)
	}
}

// peerType is ZooKeeper's number for the role.
func (m *Member) peerType() int {
	if m.Observer {
		return 1
	}
	return 0
}

func dirs(source Source, w io.Writer) {
	d := source.Stats().Disk
	fmt.Fprintf(w, "datadir_size: %d\nlogdir_size: %d\n", d.CheckpointBytes, d.LogBytes)
}

func envi(source Source, w io.Writer) {
	fmt.Fprint(w, "Environment:\n")
	for _, p := range environment(source.Stats()) {
		fmt.Fprintf(w, "%s=%s\n", p.key, p.value)
	}
}

type pair struct{ key, value string }

// environment keeps ZooKeeper's keys where they mean something here; there is no Java to tell of.
// What cannot be found out is empty rather than missing.
func environment(s Stats) []pair {
	host, _ := os.Hostname()
	dir, _ := os.Getwd()
	who := new(user.User)
	if u, err := user.Current(); err == nil {
		who = u
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return []pair{
		{"zookeeper.version", versionLine(s)},
		{"host.name", host},
		{"go.version", runtime.Version()},
		{"os.name", osName()},
		{"os.arch", runtime.GOARCH},
		{"os.version", kernelRelease()},
		{"user.name", who.Username},
		{"user.home", who.HomeDir},
		{"user.dir", dir},
		{"os.memory.free", megabytes(m.HeapIdle)},
		{"os.memory.max", megabytes(m.Sys)},
		{"os.memory.total", megabytes(m.Sys)},
	}
}

func megabytes(n uint64) string { return fmt.Sprintf("%dMB", n>>20) }
