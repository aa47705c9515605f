package server

import (
	"bytes"
	"slices"
	"testing"

	"github.com/grovekeeper/grove/server/member"
	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/server/state"
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

// What the planner sees is of one moment. Raft puts a change into effect before it is applied, the table
// with it; a leader that is new just then would plan the table of before for the members of after.
func TestMembersAndTableAreOfOneEntry(t *testing.T) {
	m, out := state.New(), new(state.Outcome)
	founders, err := member.ParsePeers("1=a:1,2=b:1,3=c:1")
	if err != nil {
		t.Fatal(err)
	}
	c := configure(founders)
	m.Apply(1, state.AppendCommand(nil, &c), out)
	conf := replica.Bootstrap(1, 2, 3).ConfState
	ahead := replica.Status{Role: replica.Leader, Term: 5, Voters: []uint64{1, 2}}
	got := clusterAt(ahead, m.View(), 4, conf)
	if len(got.Voters) != len(got.Table.Members) {
		t.Errorf("voters %v in the table %v", got.Voters, got.Table)
	}
	if got.Leading {
		t.Error("it leads before its first entry is applied")
	}
	if got = clusterAt(ahead, m.View(), 5, conf); !got.Leading {
		t.Error("it does not lead after its first entry is applied")
	}
}
