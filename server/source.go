package server

import (
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/grovekeeper/grove/server/admin"
	"github.com/grovekeeper/grove/server/front"
	"github.com/grovekeeper/grove/session"
)

// meters are the few figures that no part keeps for itself.
type meters struct {
	mu         sync.Mutex
	start      figures
	checkpoint figures

	diverged atomic.Int64 // how often this state was found to be another than a peer's
}

// figures sums durations up, in milliseconds.
type figures struct {
	count         int64
	sum, min, max float64
}

func (f *figures) add(d time.Duration) {
	ms := float64(d) / float64(time.Millisecond)
	if f.count == 0 || ms < f.min {
		f.min = ms
	}
	f.max = max(f.max, ms)
	f.sum += ms
	f.count++
}

func (f figures) summary() *admin.Summary {
	if f.count == 0 {
		return nil
	}
	return &admin.Summary{Count: f.count, Sum: f.sum, Min: f.min, Max: f.max}
}

func (m *meters) started(took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.start.add(took)
}

func (m *meters) checkpointed(took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.checkpoint.add(took)
}

// Stats shows the server as it is now. It is part of admin.Source.
func (s *Server) Stats() admin.Stats {
	v := s.feed.View()
	load, latency := s.front.Figures()
	s.meters.mu.Lock()
	latency.Checkpoint, latency.Start = s.meters.checkpoint.summary(), s.meters.start.summary()
	s.meters.mu.Unlock()
	stats := admin.Stats{
		Version: s.cfg.Version, Built: s.cfg.Built, Mode: s.mode(), Serving: s.serving(),
		ReadOnly: s.front.Mode() == front.ReadOnly, Quorum: s.quorum(),
		UptimeMs: time.Since(s.started).Milliseconds(),
		Load:     load, Latency: latency,
		Tree: admin.Tree{
			Zxid: int64(v.Zxid), Nodes: int64(v.Nodes.Len()), Ephemerals: int64(v.Nodes.EphemeralCount()),
			DataBytes: v.Nodes.Bytes(), Sessions: int64(v.Sessions.Len()), SessionsExpired: s.feed.Expired(),
			EntriesReplayed: s.feed.Replayed(),
		},
		Disk: admin.Disk{
			CheckpointBytes: sizeOf(filepath.Join(s.cfg.Dir, checkpointName)),
			LogBytes:        sizeOf(filepath.Join(s.cfg.Dir, logName)),
		},
	}
	stats.Watch.Watches, stats.Watch.Connections, stats.Watch.Paths = s.feed.WatchCounts()
	return stats
}

func (s *Server) serving() bool { return done(s.signals.ready) }

// sizeOf returns the bytes that the files at path, or directly in it, take up.
func sizeOf(path string) (total int64) {
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return info.Size()
	}
	entries, _ := os.ReadDir(path)
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			total += info.Size()
		}
	}
	return total
}

// Settings shows the configuration in force. It is part of admin.Source.
func (s *Server) Settings() admin.Settings {
	dir, err := filepath.Abs(s.cfg.Dir)
	if err != nil {
		dir = s.cfg.Dir
	}
	words := s.cfg.FourLetterWords
	if words == nil {
		words = admin.DefaultWords()
	}
	return admin.Settings{
		ClientPort: portOf(s.Addr()), DataDir: dir, LogDir: filepath.Join(dir, logName), TickMs: s.cfg.TickMs,
		SessionMinMs: s.cfg.SessionTimeoutMinMs, SessionMaxMs: s.cfg.SessionTimeoutMaxMs,
		PerAddressMax: s.cfg.ConnectionsPerAddressMax, ServerID: int64(s.node.ID()), FourLetterWords: words,
		Member: s.place(),
	}
}

// Connections shows the client connections. It is part of admin.Source.
func (s *Server) Connections() []admin.Connection {
	list := s.front.Connections()
	for i := range list {
		if at, ok := s.reaper.Deadline(session.ID(list[i].Session)); ok {
			list[i].ExpiresMs = at.UnixMilli()
		}
	}
	return list
}

// Sessions shows the sessions alive. It is part of admin.Source.
func (s *Server) Sessions() []admin.Session {
	var list []admin.Session
	s.feed.View().Sessions.Walk(func(one session.Session) bool {
		row := admin.Session{ID: int64(one.ID), TimeoutMs: int64(one.TimeoutMs)}
		if at, ok := s.reaper.Deadline(one.ID); ok {
			row.ExpiresMs = at.UnixMilli()
		}
		list = append(list, row)
		return true
	})
	return list
}

// Ephemerals shows the ephemeral nodes. It is part of admin.Source.
func (s *Server) Ephemerals() []admin.Ephemeral {
	var list []admin.Ephemeral
	s.feed.View().Nodes.Owners(func(owner int64, path string) bool {
		list = append(list, admin.Ephemeral{Owner: owner, Path: path})
		return true
	})
	return list
}

// Watches shows who watches what. It is part of admin.Source.
func (s *Server) Watches() []admin.Watch { return s.feed.ListWatches() }

// ResetServer starts the figures of the server anew. It is part of admin.Source.
func (s *Server) ResetServer() { s.front.ResetFigures() }

// ResetConnections starts the figures of each connection anew. It is part of admin.Source.
func (s *Server) ResetConnections() { s.front.ResetConnections() }

var _ admin.Source = (*Server)(nil)
