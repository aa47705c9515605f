package state

import (
	"fmt"
	"strings"
	"testing"

	"github.com/grovekeeper/grove/znode"
)

func TestApplyAscends(t *testing.T) {
	for _, index := range []znode.Zxid{7, 6, 0, -1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("entry %d applied after 7", index)
				}
			}()
			m, out := New(), new(Outcome)
			m.Apply(7, nil, out)
			m.Apply(index, nil, out)
		}()
	}
}

// Decoding costs one allocation, the path, which stays on in the changes.
func TestDecodeAllocates(t *testing.T) {
	c := Command{
		Kind: Create, IDs: []znode.Identity{{Scheme: "ip", ID: "10.0.0.1"}, {Scheme: "digest", ID: "u:h"}},
		Op: Op{Kind: Create, Path: "/a/path", Data: make([]byte, 1000), ACL: open31},
	}
	data := AppendCommand(nil, &c)
	d, into := newDecoder(), new(Command)
	allocs := testing.AllocsPerRun(100, func() {
		if err := d.decode(data, into); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 1 {
		t.Errorf("%v allocations", allocs)
	}
}

// What a decoder remembers is bounded, however many identities pass and however long they are.
func TestDecoderForgets(t *testing.T) {
	d, into := newDecoder(), new(Command)
	decode := func(id string) {
		c := Command{Kind: SetACL, IDs: []znode.Identity{{Scheme: "ip", ID: id}}}
		c.Op = Op{Kind: SetACL, ACL: []znode.ACE{{Scheme: "ip", ID: id}}}
		if err := d.decode(AppendCommand(nil, &c), into); err != nil {
			t.Fatal(err)
		}
		if into.IDs[0].ID != id || into.Op.ACL[0].ID != id {
			t.Fatalf("%q read as %q and %q", id, into.IDs[0].ID, into.Op.ACL[0].ID)
		}
	}
	for i := range 3*seenMax + 5 {
		decode(fmt.Sprint(i))
		if len(d.ids) > seenMax || len(d.acls) > seenMax {
			t.Fatalf("%d and %d lists remembered", len(d.ids), len(d.acls))
		}
	}
	before := len(d.ids) + len(d.acls)
	decode(strings.Repeat("x", seenSizeMax))
	if before == 0 || len(d.ids)+len(d.acls) != before {
		t.Fatalf("%d lists remembered, %d before a long one", len(d.ids)+len(d.acls), before)
	}
}

// A very large multi does not stay in memory after the command that follows it.
func TestLargeMultiIsLetGo(t *testing.T) {
	s := newStage(t)
	s.perform("open s1")
	large := s.command("s1")
	large.Kind, large.Multi = Multi, make([]Op, 8*scratchMax)
	for i := range large.Multi {
		large.Multi[i] = Op{Kind: Create, Path: fmt.Sprintf("/n%d", i), ACL: open31, TTL: -1}
	}
	s.feed(2, AppendCommand(nil, large))
	if s.out.Failed != -1 || len(s.out.Multi) != len(large.Multi) || len(s.out.Changes) != len(large.Multi) {
		t.Fatalf("failed at %d: %v", s.out.Failed, s.out.Multi[max(s.out.Failed, 0)].Err)
	}
	if cap(s.machine.command.Multi) > scratchMax {
		t.Errorf("the machine holds on to %d operations", cap(s.machine.command.Multi))
	}
	s.feed(3, nil)
	if cap(s.out.Multi) > scratchMax || cap(s.out.Changes) > scratchMax {
		t.Errorf("the outcome holds on to %d results and %d changes", cap(s.out.Multi), cap(s.out.Changes))
	}
}

// A reader may take its time with a view while the machine goes on. Meant for the race detector;
// without it, it still compares what was read.
func TestViewsAreReadWhileTheMachineGoesOn(t *testing.T) {
	type pinned struct {
		view *View
		dump string
	}
	views, read := make(chan pinned, 4), make(chan error, 200)
	go func() {
		defer close(read)
		for p := range views {
			if got := dumpView(p.view); got != p.dump {
				read <- fmt.Errorf("the view at %d reads\n%swas\n%s", p.view.Zxid, got, p.dump)
			}
		}
	}()
	s := newStage(t)
	s.perform("open s1")
	for i := range 200 {
		s.play(fmt.Sprintf("s1 create /n- %d flags=%d", i, 2+i%2))
		s.play(fmt.Sprintf("s1 multi set /n-%010d x ; delete /n-%010d ; check /nope version=%d", i/2, i/3, i%2))
		s.play(fmt.Sprintf("s1 delete /n-%010d", i/3))
		s.play("attach s1")
		v := s.machine.View()
		views <- pinned{v, dumpView(v)}
	}
	close(views)
	for err := range read {
		t.Error(err)
	}
}
