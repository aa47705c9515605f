package checkpoint

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// limitFiles makes the system refuse to let any file of this process grow past size, until undo.
func limitFiles(t *testing.T, size int64) (undo func()) {
	t.Helper()
	signal.Ignore(unix.SIGXFSZ)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: uint64(size), Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
			t.Fatal(err)
		}
		signal.Reset(unix.SIGXFSZ)
	}
}

// A disk that is full refuses a write and nothing else: the file is as before, and when there is
// room the same write goes through.
func TestNoSpace(t *testing.T) {
	for _, way := range ways[1:] {
		t.Run(way.name, func(t *testing.T) {
			w, s, _ := grown(t)
			w.save(s)
			before := w.machine.View()
			r := rand.New(rand.NewPCG(1, 2))
			way.change(w, r)
			// More than the file has free, less than a new file has to start with.
			for i := range 8 {
				w.create(fmt.Sprintf("/big%d", i), strings.Repeat("big", 100000))
			}
			v, d := w.view()
			info, err := os.Stat(s.path)
			if err != nil {
				t.Fatal(err)
			}
			undo := limitFiles(t, info.Size())
			err = s.Write(v, d, Meta{})
			undo()
			if !errors.Is(err, ErrFull) {
				t.Fatalf("got %v, want ErrFull", err)
			}
			if m, ok := s.Meta(); !ok || m.State.Zxid != before.Zxid {
				t.Errorf("the store is at %d, not %d", m.State.Zxid, before.Zxid)
			}
			sameState(t, settled(t, moment{old: (&recorder{t: t}).file(s.path)}), before)

			if err := s.Write(v, d, Meta{}); err != nil {
				t.Fatalf("with room again: %v", err)
			}
			s = reopen(t, s)
			same(t, s, v)
		})
	}
}

// swap puts another file under the descriptor of the store's file, which answers as that one does.
func swap(t *testing.T, path, other string) {
	t.Helper()
	f, err := os.OpenFile(other, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	links, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc here")
	}
	for _, link := range links {
		if to, err := os.Readlink("/proc/self/fd/" + link.Name()); err == nil && to == path {
			var fd int
			fmt.Sscan(link.Name(), &fd)
			if err := unix.Dup3(int(f.Fd()), fd, unix.O_CLOEXEC); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("%s is not open", path)
}

// Whatever else fails, the store is broken: nobody knows what is on disk.
func TestFailedSyncBreaks(t *testing.T) {
	w, s, _ := grown(t)
	w.save(s)
	before := w.machine.View()
	ways[0].change(w, rand.New(rand.NewPCG(1, 2)))
	v, d := w.view()
	copied := (&recorder{t: t}).file(s.path)
	swap(t, s.path, "/dev/null") // takes every byte, and refuses to be flushed
	err := s.Write(v, d, Meta{})
	if err == nil || errors.Is(err, ErrFull) || errors.Is(err, ErrBroken) {
		t.Fatalf("got %v", err)
	}
	if err := s.Write(v, d, Meta{}); !errors.Is(err, ErrBroken) {
		t.Fatalf("got %v, want ErrBroken", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sameState(t, settledImage(t, copied), before)
}

// A full disk can also be met when a page is written, not only when the file grows.
func TestFullDevice(t *testing.T) {
	w, s, _ := grown(t)
	w.save(s)
	for range 3 { // so that there are free pages, and the file does not have to grow
		w.set("/dir0", "x")
		w.save(s)
	}
	w.set("/dir0", "y")
	v, d := w.view()
	swap(t, s.path, "/dev/full")
	if err := s.Write(v, d, Meta{}); !errors.Is(err, ErrFull) {
		t.Fatalf("got %v, want ErrFull", err)
	}
}

// Pages that go bad under an open store are met by bbolt, which panics. That stays inside.
func TestDamageUnderOpenStore(t *testing.T) {
	w, s, _ := grown(t)
	w.save(s)
	w.create("/dir0/nodf", "")
	v, d := w.view()
	f, err := os.OpenFile(s.path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for at := int64(2 * pageSize); at < 1<<19; at += pageSize {
		if _, err := f.WriteAt(make([]byte, headerSize), at); err != nil {
			t.Fatal(err)
		}
	}
	err = s.Write(v, d, Meta{})
	if damage := (*CorruptError)(nil); !errors.As(err, &damage) || damage.File != s.path {
		t.Fatalf("got %v, want a CorruptError", err)
	}
	if err := s.Write(v, d, Meta{}); !errors.Is(err, ErrBroken) {
		t.Fatalf("got %v, want ErrBroken", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// Nor does a file that shrinks under it end the process, which a fault in a map does by itself.
func TestTruncatedUnderOpenStore(t *testing.T) {
	w, s, _ := grown(t)
	w.save(s)
	w.create("/dir0/nodf", "")
	v, d := w.view()
	if err := os.Truncate(s.path, 2*pageSize); err != nil {
		t.Fatal(err)
	}
	err := s.Write(v, d, Meta{})
	if damage := (*CorruptError)(nil); !errors.As(err, &damage) {
		t.Fatalf("got %v, want a CorruptError", err)
	}
	s.Close()
	if _, err := Open(s.path, swift); err == nil {
		t.Fatal("opened a file cut short")
	}
}

func TestCannotCreate(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none", "state"), swift); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("got %v, want ErrNotExist", err)
	}
}

// What a write has looked at does not stay in this process's memory.
func TestFileIsNotResident(t *testing.T) {
	w, s, _ := grown(t)
	w.save(s)
	for _, way := range ways {
		way.change(w, rand.New(rand.NewPCG(1, 2)))
		w.save(s)
		if kib := residentKiB(t, s); kib > 64 {
			t.Errorf("after %s: %d KiB of the file are resident", way.name, kib)
		}
	}
}

// residentKiB returns how much of the store's file is mapped and in memory.
func residentKiB(t *testing.T, s *Store) (kib int) {
	t.Helper()
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Skip("no /proc here")
	}
	mapped, found := false, false
	for line := range strings.Lines(string(smaps)) {
		fields := strings.Fields(line)
		if !strings.HasSuffix(fields[0], ":") {
			mapped = len(fields) > 5 && fields[5] == s.path
			found = found || mapped
		}
		if mapped && fields[0] == "Rss:" {
			var n int
			fmt.Sscan(fields[1], &n)
			kib += n
		}
	}
	if !found {
		t.Fatalf("%s is not mapped", s.path)
	}
	return kib
}
