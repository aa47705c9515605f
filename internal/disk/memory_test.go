package disk

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// lost and kept are fates.
func lost(Unit) int { return Lost }
func kept(Unit) int { return Kept }

// disked returns a memory disk with a durable file of two sectors of 'o'.
func disked(t testing.TB) (*Memory, File) {
	m := NewMemory()
	must(t, m.MkdirAll("/d"))
	f, err := m.Create("/d/f")
	must(t, err)
	write(t, f, 0, string(bytes.Repeat([]byte{'o'}, 2*Sector)))
	must(t, f.Sync())
	must(t, m.SyncDir("/d"))
	return m, f
}

func TestPowerTakesWhatWasNotSynced(t *testing.T) {
	old := string(bytes.Repeat([]byte{'o'}, 2*Sector))
	for _, c := range []struct {
		name string
		fate func(Unit) int
		want string
	}{
		{"lost", lost, old},
		{"kept", kept, old[:Sector-2] + "newest" + old[Sector+4:]},
		{"first sector", func(u Unit) int { return Kept * b2i(u.Off < Sector) },
			old[:Sector-2] + "ne" + old[Sector:]},
		{"second sector", func(u Unit) int { return Kept * b2i(u.Off >= Sector) },
			old[:Sector] + "west" + old[Sector+4:]},
		{"torn", func(u Unit) int { return 1 }, old[:Sector-2] + "no" + "w" + old[Sector+1:]},
	} {
		m, f := disked(t)
		write(t, f, Sector-2, "newest")
		if got := read(t, m, "/d/f"); got != old[:Sector-2]+"newest"+old[Sector+4:] {
			t.Errorf("%s: a reader sees %q", c.name, got)
		}
		m.CutPower(c.fate)
		if got := read(t, m, "/d/f"); got != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
		if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, ErrPower) {
			t.Errorf("%s: a file of an earlier life: %v", c.name, err)
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestPowerTakesNames(t *testing.T) {
	for _, c := range []struct {
		name string
		fate func(Unit) int
		want string
	}{
		{"lost", lost, "[a b]"},
		{"kept", kept, "[b c]"},
		{"creation lost", func(u Unit) int { return Kept * b2i(u.Name != "/d/c") }, "[b]"},
		{"removal and rename lost", func(u Unit) int { return Kept * b2i(u.Name != "/d/b") }, "[a b c]"},
	} {
		m := NewMemory()
		must(t, m.MkdirAll("/d"))
		for _, name := range []string{"/d/a", "/d/b"} {
			f, err := m.Create(name)
			must(t, err)
			write(t, f, 0, name)
			must(t, f.Sync())
		}
		must(t, m.SyncDir("/d"))
		must(t, m.Remove("/d/b"))
		must(t, m.Rename("/d/a", "/d/b"))
		_, err := m.Create("/d/c")
		must(t, err)
		m.CutPower(c.fate)
		names, err := m.List("/d")
		must(t, err)
		if fmt.Sprint(names) != c.want {
			t.Errorf("%s: %v", c.name, names)
		}
	}
}

// TestFailedSyncForgets: after a sync that failed, readers see what the disk does not hold, and the
// next sync succeeds without it. Written again, it is there.
func TestFailedSyncForgets(t *testing.T) {
	m, f := disked(t)
	write(t, f, 0, "new")
	failed := errors.New("the disk says no")
	m.Hook(func(op Op) error {
		if op.Kind == OpSync {
			return failed
		}
		return nil
	})
	if err := f.Sync(); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	m.Hook(nil)
	must(t, f.Sync())
	if got := read(t, m, "/d/f")[:3]; got != "new" {
		t.Errorf("a reader sees %q", got)
	}
	again := m.Clone()
	m.CutPower(kept)
	if got := read(t, m, "/d/f")[:3]; got != "ooo" {
		t.Errorf("the disk holds %q", got)
	}
	f, err := again.OpenRW("/d/f")
	must(t, err)
	write(t, f, 0, "new")
	must(t, f.Sync())
	again.CutPower(lost)
	if got := read(t, again, "/d/f")[:3]; got != "new" {
		t.Errorf("written again, the disk holds %q", got)
	}
}

func TestHook(t *testing.T) {
	m, f := disked(t)
	var seen []string
	no := errors.New("no")
	m.Hook(func(op Op) error {
		seen = append(seen, fmt.Sprintf("%s %s %d+%d", op.Kind, op.Name, op.Off, op.Len))
		if op.Kind == OpWrite {
			return &ShortWrite{N: 2, Err: no}
		}
		return nil
	})
	if n, err := f.WriteAt([]byte("new"), 1); n != 2 || !errors.Is(err, no) {
		t.Errorf("short write: %d, %v", n, err)
	}
	must(t, f.Sync())
	if got := fmt.Sprint(seen); got != "[write /d/f 1+3 sync /d/f 0+0]" {
		t.Error(got)
	}
	m.CutPower(lost)
	if got := read(t, m, "/d/f")[:4]; got != "oneo" {
		t.Errorf("%q", got)
	}
}

func TestPutReachesOpenFiles(t *testing.T) {
	m, f := disked(t)
	m.Put("/d/f", []byte("put"))
	b := make([]byte, 3)
	if _, err := f.ReadAt(b, 0); err != nil || string(b) != "put" {
		t.Errorf("%q, %v", b, err)
	}
	m.CutPower(lost)
	if got, err := m.Bytes("/d/f"); err != nil || string(got) != "put" {
		t.Errorf("%q, %v", got, err)
	}
}

// FuzzMemory compares the memory disk with the plainest twin: for each file its content now, and
// as of its last sync, under the names as of the last directory sync.
func FuzzMemory(f *testing.F) {
	f.Add([]byte{0, 1, 9, 0, 1, 3, 2, 1, 0, 3, 0, 0, 1, 1, 200, 4, 1, 2})
	f.Fuzz(func(t *testing.T, script []byte) {
		m := NewMemory()
		must(t, m.MkdirAll("/d"))
		now, safe := map[string]*twin{}, map[string]*twin{}
		for ; len(script) >= 3; script = script[3:] {
			name, arg := fmt.Sprintf("/d/%d", script[1]%3), int64(script[2])*9
			n := now[name]
			switch script[0] % 6 {
			case 0:
				if _, err := m.Create(name); (err == nil) != (n == nil) {
					t.Fatalf("create: %v", err)
				} else if n == nil {
					now[name] = &twin{}
				}
			case 1:
				if n != nil {
					g, _ := m.OpenRW(name)
					write(t, g, arg, string(bytes.Repeat([]byte{script[0]}, int(arg))))
					n.write(arg, bytes.Repeat([]byte{script[0]}, int(arg)))
				}
			case 2:
				if n != nil {
					g, _ := m.OpenRW(name)
					must(t, g.Sync())
					n.safe = bytes.Clone(n.now)
				}
			case 3:
				must(t, m.SyncDir("/d"))
				safe = map[string]*twin{}
				for name, n := range now {
					safe[name] = n
				}
			case 4:
				to := fmt.Sprintf("/d/%d", script[2]%3)
				if n != nil && to != name {
					must(t, m.Rename(name, to))
					now[to] = n
					delete(now, name)
				}
			case 5:
				if n != nil {
					g, _ := m.OpenRW(name)
					must(t, g.Truncate(arg))
					n.truncate(arg)
				}
			}
		}
		for name, n := range now {
			if got := read(t, m, name); got != string(n.now) {
				t.Fatalf("%s: %d bytes, not %d", name, len(got), len(n.now))
			}
		}
		all := m.Clone()
		all.CutPower(kept)
		for name, n := range now {
			if got := read(t, all, name); got != string(n.now) {
				t.Fatalf("%s, all kept: %d bytes, not %d", name, len(got), len(n.now))
			}
		}
		m.CutPower(lost)
		names, _ := m.List("/d")
		if len(names) != len(safe) {
			t.Fatalf("%v, not %d files", names, len(safe))
		}
		for name, n := range safe {
			if got := read(t, m, name); got != string(n.safe) {
				t.Fatalf("%s, all lost: %d bytes, not %d", name, len(got), len(n.safe))
			}
		}
	})
}

type twin struct{ now, safe []byte }

func (w *twin) write(off int64, data []byte) {
	if len(data) == 0 {
		return
	}
	w.now = append(w.now, make([]byte, max(0, off+int64(len(data))-int64(len(w.now))))...)
	copy(w.now[off:], data)
}

func (w *twin) truncate(size int64) {
	w.now = append([]byte(nil), append(w.now, make([]byte, size)...)[:size]...)
}
