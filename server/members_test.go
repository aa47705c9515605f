package server

import (
	"bytes"
	"slices"
	"testing"

	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/server/wal"
)

// The membership goes into the checkpoint with the state: the entries that changed it may be gone from
// the log by the next start.
func TestTheCheckpointCarriesTheMembership(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), ClientAddrs: []string{"127.0.0.1:0"}}
	open := func() *Server {
		t.Helper()
		s, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	if got := s.replica.Load().Status().Voters; !slices.Equal(got, []uint64{1}) {
		t.Fatalf("voters %v at the beginning", got)
	}
	entry := wal.Entry{Index: 2, Term: 1}
	if err := s.disk.wal.Append(wal.Batch{Entries: []wal.Entry{entry}, Hard: wal.HardState{Term: 1, Commit: 2}}); err != nil {
		t.Fatal(err)
	}
	s.feed.Apply([]replica.Entry{{Index: 2, Term: 1, ConfState: replica.Bootstrap(1, 7).ConfState}})
	if err := s.writeCheckpoint(s.feed.Final()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open()
	defer s.Close()
	if got := s.replica.Load().Status().Voters; !slices.Equal(got, []uint64{1, 7}) {
		t.Errorf("voters %v after a start", got)
	}
	if _, term, conf := s.feed.Latest(); term != 1 || !bytes.Equal(conf, replica.Bootstrap(1, 7).ConfState) {
		t.Errorf("the feed begins in term %d with %x", term, conf)
	}
}
