package checkpoint

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/grovekeeper/grove/server/state"
)

// moment is the directory between two steps of a store.
type moment struct {
	step     string
	old, new []byte // the files at the name and at the new name; nil: none
}

// recorder keeps every moment of a store's life from now on.
type recorder struct {
	t       *testing.T
	path    string
	moments []moment
}

func (r *recorder) step(name string) {
	r.moments = append(r.moments, moment{name, r.file(r.path), r.file(newName(r.path))})
}

func (r *recorder) file(path string) []byte {
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		r.t.Fatal(err)
	}
	return b
}

func (r *recorder) steps() string {
	var names []string
	for _, m := range r.moments {
		names = append(names, m.step)
	}
	return strings.Join(slices.Compact(names), ", ")
}

// settled is the state a start finds in the directory of m.
func settled(t *testing.T, m moment) *state.View {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state")
	for name, b := range map[string][]byte{path: m.old, newName(path): m.new} {
		if b != nil {
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := openStore(t, path)
	defer s.Close()
	if _, err := os.Stat(newName(path)); !os.IsNotExist(err) {
		t.Errorf("after %s: what a crash left is still there: %v", m.step, err)
	}
	machine, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	return machine.View()
}

// settledImage is the state in the bytes of a file.
func settledImage(t *testing.T, b []byte) *state.View {
	t.Helper()
	c, err := load(&image{"image", bytes.NewReader(b), int64(len(b))}, func(e *CorruptError) error { return e })
	if err != nil {
		t.Fatal(err)
	}
	return c.machine.View()
}

// grown is a world with so many nodes that some hundreds of changes are worth staging, and its store.
func grown(t *testing.T) (*world, *Store, *recorder) {
	rec := &recorder{t: t, path: filepath.Join(t.TempDir(), "state")}
	s, err := open(rec.path, swift, env{step: rec.step})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w := newWorld(t)
	w.open()
	for i := range 4000 {
		if i%500 == 0 {
			w.create(fmt.Sprintf("/dir%d", i/500), "")
		}
		w.create(fmt.Sprintf("/dir%d/node%04d", i/500, i), "some data")
	}
	return w, s, rec
}

// The ways a Write can go, and what leads there.
var ways = []struct {
	name   string
	change func(w *world, r *rand.Rand)
	steps  string
}{
	{"update", func(w *world, r *rand.Rand) { w.stir(r, 100) }, "update"},
	{"stage", func(w *world, r *rand.Rand) {
		w.stir(r, 150)
		for i := range 300 { // of more bytes than one transaction takes
			w.set(fmt.Sprintf("/dir%d/node%04d", i*13/500, i*13), strings.Repeat("new", 1+r.IntN(2000)))
		}
		for i := range 60 {
			w.delete(fmt.Sprintf("/dir%d/node%04d", (i*13+1)/500, i*13+1))
		}
	}, "stage, fold, unstage"},
	{"rewrite", func(w *world, _ *rand.Rand) { w.renew = true; w.set("/dir1", "x") },
		"rewrite, new file written, new file renamed, directory flushed"},
}

// Whatever step a Write is cut short after, a start finds the state before it or the one after it,
// and once it is the one after it, it stays so.
func TestCrashBetweenSteps(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			w, s, rec := grown(t)
			w.save(s)
			before := w.machine.View()
			rec.moments = nil
			rec.step("before")
			way.change(w, rand.New(rand.NewPCG(1, 2)))
			w.save(s)
			if got := strings.TrimPrefix(rec.steps(), "before, "); got != way.steps {
				t.Fatalf("went %s, not %s", got, way.steps)
			}
			after, done := w.machine.View(), false
			for _, m := range rec.moments {
				got := settled(t, m)
				done = done || got.Zxid == after.Zxid
				if done {
					sameState(t, got, after)
				} else {
					sameState(t, got, before)
				}
			}
			if !done {
				t.Error("the new state never came")
			}
		})
	}
}

// A transaction is cut short by a power failure: of what it writes before its meta page, any
// sectors may be on disk and any may not. The state must be that before the transaction.
func TestPowerCutInsideTransaction(t *testing.T) {
	w, s, rec := grown(t)
	w.save(s)
	r := rand.New(rand.NewPCG(3, 4))
	rec.moments = nil
	rec.step("before")
	for _, way := range ways[:2] {
		way.change(w, r)
		w.save(s)
	}
	for i := 1; i < len(rec.moments); i++ {
		from, to := rec.moments[i-1].old, rec.moments[i].old
		want := settledImage(t, from)
		for _, share := range []float64{0.01, 0.5, 1} {
			sameState(t, settledImage(t, torn(r, from, to, share)), want)
		}
	}
}

// torn is from with a share of the sectors in which to differs, but for the meta pages. The file
// has grown before anything was written.
func torn(r *rand.Rand, from, to []byte, share float64) []byte {
	const sector = 512
	b := make([]byte, max(len(from), len(to)))
	copy(b, from)
	for at := 2 * pageSize; at < len(to); at += sector {
		if r.Float64() < share {
			copy(b[at:at+sector], to[at:])
		}
	}
	return b
}

// The first write to a directory, or the making of the file itself, is cut short.
func TestCrashWhileNew(t *testing.T) {
	rec := &recorder{t: t, path: filepath.Join(t.TempDir(), "state")}
	s, err := open(rec.path, swift, env{step: rec.step})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w := newWorld(t)
	w.stir(rand.New(rand.NewPCG(5, 6)), 50)
	w.save(s)
	if got := rec.steps(); got != "new file written, new file renamed, directory flushed, rewrite, new file written, new file renamed, directory flushed" {
		t.Fatal(got)
	}
	empty, full := state.New().View(), w.machine.View()
	renamed := 0
	for _, m := range rec.moments {
		if m.step == "new file renamed" {
			renamed++
		}
		if got := settled(t, m); renamed < 2 {
			sameState(t, got, empty)
		} else {
			sameState(t, got, full)
		}
	}
}

// What a write has left when it was cut short is dealt with by the next one.
func TestWriteAfterCrash(t *testing.T) {
	for _, cut := range []string{"stage", "fold"} {
		t.Run(cut, func(t *testing.T) {
			w, s, rec := grown(t)
			w.save(s)
			rec.moments = nil
			r := rand.New(rand.NewPCG(7, 8))
			ways[1].change(w, r)
			v, d := w.view()
			w.save(s)
			s.Close()
			i := slices.IndexFunc(rec.moments, func(m moment) bool { return m.step == cut })
			if err := os.WriteFile(rec.path, rec.moments[i].old, 0o600); err != nil {
				t.Fatal(err)
			}
			again := openStore(t, rec.path)
			if again.leftover != (cut == "stage") || again.ledger.staged != (cut == "fold") {
				t.Fatalf("found leftover %v, staged %v", again.leftover, again.ledger.staged)
			}
			w.stir(r, 20)
			latest, late := w.view()
			d = Recent{From: d.From, Changes: append(d.Changes, late.Changes...)}
			if err := again.Write(latest, d, Meta{}); err != nil {
				t.Fatal(err)
			}
			if again.ledger.staged || again.leftover || v.Zxid >= latest.Zxid {
				t.Errorf("still staged %v, leftover %v", again.ledger.staged, again.leftover)
			}
			again = reopen(t, again)
			same(t, again, latest)
			if sum, err := Check(rec.path, func(*CorruptError) {}); err == nil {
				t.Errorf("checked a file in use: %+v", sum)
			}
		})
	}
}
