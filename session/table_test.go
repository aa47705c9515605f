package session

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// model is the twin of Table: a map, and the rules of session.go applied to it one by one.
type model map[ID]Session

func (m model) open(s Session) error {
	_, taken := m[s.ID]
	switch {
	case s.ID == 0 || s.TimeoutMs <= 0:
		return ErrInvalid
	case taken:
		return ErrExists
	}
	m[s.ID] = s
	return nil
}

func (m model) attach(id ID, p Password, timeoutMs int32) (Session, error) {
	s, ok := m[id]
	switch {
	case !ok:
		return Session{}, ErrUnknown
	case s.Password != p:
		return Session{}, ErrPassword
	case timeoutMs <= 0:
		return Session{}, ErrInvalid
	}
	s.Epoch, s.TimeoutMs = s.Epoch+1, timeoutMs
	m[id] = s
	return s, nil
}

func (m model) current(id ID, epoch uint32) error {
	s, ok := m[id]
	switch {
	case !ok:
		return ErrExpired
	case s.Epoch != epoch:
		return ErrMoved
	}
	return nil
}

func (m model) close(id ID) error {
	if _, ok := m[id]; !ok {
		return ErrUnknown
	}
	delete(m, id)
	return nil
}

// pin is a clone nobody edits, and what it has to look like for ever.
type pin struct {
	table *Table
	want  model
	sum   uint64
}

// FuzzTable runs a script against a table and its model. On the way it pins clones, and goes on with
// a clone in place of the table, and at the end looks whether what was pinned is as it was.
func FuzzTable(f *testing.F) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		script := make([]byte, 2000)
		for i := range script {
			script[i] = byte(rng.Uint32())
		}
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		table, model := NewTable(), model{}
		var pins []pin
		for ; len(script) >= 3; script = script[3:] {
			step(t, table, model, script[0], script[1], script[2])
			switch script[0] >> 3 {
			case 0:
				pins = append(pins, pin{table.Clone(), maps.Clone(model), table.Digest()})
			case 1: // what is pinned is the original
				pins = append(pins, pin{table, maps.Clone(model), table.Digest()})
				table = table.Clone()
			}
		}
		compare(t, table, model)
		for _, p := range pins {
			compare(t, p.table, p.want)
			if p.table.Digest() != p.sum {
				t.Fatal("the digest of a pinned table changed")
			}
		}
	})
}

// step does one thing to both and compares what they say. Ids, passwords and epochs are few, so that
// they are right about as often as wrong.
func step(t *testing.T, table *Table, model model, verb, who, what byte) {
	id := ID(who%64) - 8 // negative ids are ids too, and zero is none
	password := Password{0: what & 1}
	timeoutMs := int32(what>>1) - 2
	var got, want error
	switch verb % 8 {
	case 0, 1, 2, 3:
		s := Session{ID: id, Password: password, TimeoutMs: timeoutMs, Epoch: uint32(what >> 6)}
		got, want = table.Open(s), model.open(s)
	case 4, 5:
		var a, b Session
		a, got = table.Attach(id, password, timeoutMs)
		b, want = model.attach(id, password, timeoutMs)
		if a != b {
			t.Fatalf("attach %v: %+v, want %+v", id, a, b)
		}
	case 6:
		got, want = table.Current(id, uint32(what>>6)), model.current(id, uint32(what>>6))
	default:
		got, want = table.Close(id), model.close(id)
	}
	if !errors.Is(got, want) || (got == nil) != (want == nil) {
		t.Fatalf("step %d of %v with %d: %v, want %v", verb%8, id, what, got, want)
	}
}

// compare compares all that a table tells with the model, and its digest with that of a table which
// came to the same sessions in another way.
func compare(t *testing.T, table *Table, model model) {
	t.Helper()
	var got []ID
	for s := range table.Walk {
		if s != model[s.ID] {
			t.Fatalf("session %v is %+v, want %+v", s.ID, s, model[s.ID])
		}
		got = append(got, s.ID)
	}
	if want := slices.Sorted(maps.Keys(model)); !slices.Equal(got, want) || table.Len() != len(want) {
		t.Fatalf("%d sessions %v, want %v", table.Len(), got, want)
	}
	twin := NewTable()
	for id, want := range model {
		if s, ok := table.Get(id); !ok || s != want {
			t.Fatalf("session %v is %+v, %v, want %+v", id, s, ok, want)
		}
		decoded, err := DecodeSession(AppendSession(nil, want))
		if err := errors.Join(err, twin.Restore(decoded)); err != nil {
			t.Fatal(err)
		}
	}
	if table.Digest() != twin.Digest() {
		t.Fatalf("digest %x, restored %x", table.Digest(), twin.Digest())
	}
}

// TestDigestTellsApart states that a change of any one bit of a session changes the digest.
func TestDigestTellsApart(t *testing.T) {
	base := Session{ID: 5, Password: Password{1, 2, 3}, TimeoutMs: 4000, Epoch: 1}
	seen := map[uint64]Session{}
	note := func(s Session) {
		table := NewTable()
		if err := table.Restore(s); err != nil {
			t.Fatal(err)
		}
		if twin, ok := seen[table.Digest()]; ok {
			t.Fatalf("%+v and %+v have one digest", s, twin)
		}
		seen[table.Digest()] = s
	}
	note(base)
	for bit := range encodedSize * 8 {
		b := AppendSession(nil, base)
		b[bit/8] ^= 1 << (bit % 8)
		if s, err := DecodeSession(b); err == nil {
			note(s)
		}
	}
	if len(seen) < 8*(8+4+16) {
		t.Fatalf("only %d variants are sessions", len(seen))
	}
}

// TestFencing tells the story of a session that moves: the new attachment acts, the old one does
// not, a guess of the password disturbs neither, and once it is over nobody comes back.
func TestFencing(t *testing.T) {
	table, secret := NewTable(), Password{1}
	want := func(what string, got, want error) {
		t.Helper()
		if !errors.Is(got, want) {
			t.Fatalf("%s: %v, want %v", what, got, want)
		}
	}
	attach := func(p Password) error { _, err := table.Attach(7, p, 4000); return err }

	want("open", table.Open(Session{ID: 7, Password: secret, TimeoutMs: 4000, Epoch: 1}), nil)
	want("act", table.Current(7, 1), nil)
	want("guess", attach(Password{2}), ErrPassword)
	want("act after a guess", table.Current(7, 1), nil)
	want("move", attach(secret), nil)
	want("act on the old connection", table.Current(7, 1), ErrMoved)
	want("act on the new one", table.Current(7, 2), nil)
	want("open again", table.Open(Session{ID: 7, TimeoutMs: 1}), ErrExists)
	want("close", table.Close(7), nil)
	want("act after the end", table.Current(7, 2), ErrExpired)
	want("come back", attach(secret), ErrUnknown)
	want("close again", table.Close(7), ErrUnknown)
	if table.Digest() != NewTable().Digest() {
		t.Error("an empty table has a digest")
	}
}

// TestFrozenClone reads a clone from several goroutines while the table it came from goes on; the
// race detector and the sums must both be content.
func TestFrozenClone(t *testing.T) {
	table := NewTable()
	for id := range ID(5000) {
		if err := table.Open(Session{ID: id + 1, TimeoutMs: 4000, Epoch: 1}); err != nil {
			t.Fatal(err)
		}
	}
	frozen := table.Clone()
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for range 5 {
				n := 0
				for s := range frozen.Walk {
					if twin, ok := frozen.Get(s.ID); !ok || twin != s || s.Epoch != 1 {
						t.Errorf("session %v changed: %+v", s.ID, twin)
						return
					}
					n++
				}
				if n != 5000 {
					t.Errorf("%d sessions, want 5000", n)
				}
			}
		})
	}
	for id := range ID(5000) {
		if _, err := table.Attach(id+1, Password{}, 8000); err != nil {
			t.Error(err)
		}
		if id%2 == 0 {
			if err := table.Close(id + 1); err != nil {
				t.Error(err)
			}
		}
	}
	readers.Wait()
}

// TestCurrentAllocates states that the question every command asks allocates nothing, whatever the
// answer is.
func TestCurrentAllocates(t *testing.T) {
	table := NewTable()
	if err := table.Open(Session{ID: 1, TimeoutMs: 1, Epoch: 1}); err != nil {
		t.Fatal(err)
	}
	var ok, moved, gone error
	n := testing.AllocsPerRun(100, func() {
		ok, moved, gone = table.Current(1, 1), table.Current(1, 2), table.Current(2, 1)
	})
	if n != 0 || ok != nil || moved != ErrMoved || gone != ErrExpired {
		t.Errorf("%v allocations; %v, %v, %v", n, ok, moved, gone)
	}
}
