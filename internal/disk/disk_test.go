package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// both runs a test on the real and on the memory file system, in a directory of its own.
func both(t *testing.T, test func(t *testing.T, fs FS, dir string)) {
	t.Run("real", func(t *testing.T) { test(t, Real(), t.TempDir()) })
	t.Run("memory", func(t *testing.T) {
		m := NewMemory()
		if err := m.MkdirAll("/dir"); err != nil {
			t.Fatal(err)
		}
		test(t, m, "/dir")
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, f File, off int64, data string) {
	t.Helper()
	if n, err := f.WriteAt([]byte(data), off); err != nil || n != len(data) {
		t.Fatalf("write %d bytes at %d: %d, %v", len(data), off, n, err)
	}
}

func read(t testing.TB, fsys FS, name string) string {
	t.Helper()
	f, err := fsys.Open(name)
	must(t, err)
	defer f.Close()
	size, err := f.Size()
	must(t, err)
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); n != len(b) || err != nil && !errors.Is(err, io.EOF) {
		t.Fatalf("read %s: %d of %d bytes, %v", name, n, size, err)
	}
	return string(b)
}

func TestFiles(t *testing.T) {
	both(t, func(t *testing.T, d FS, dir string) {
		name := filepath.Join(dir, "a")
		f, err := d.Create(name)
		must(t, err)
		write(t, f, 0, "hello")
		write(t, f, 7, "there")
		must(t, f.Sync())
		if got := read(t, d, name); got != "hello\x00\x00there" {
			t.Errorf("%q", got)
		}
		must(t, f.Truncate(3))
		must(t, f.Truncate(5))
		if got := read(t, d, name); got != "hel\x00\x00" {
			t.Errorf("%q", got)
		}
		b := make([]byte, 4)
		if n, err := f.ReadAt(b, 3); n != 2 || !errors.Is(err, io.EOF) {
			t.Errorf("read across the end: %d, %v", n, err)
		}
		if n, err := f.ReadAt(b, 30); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("read beyond the end: %d, %v", n, err)
		}
		must(t, f.Close())
		if err := f.Close(); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("second close: %v", err)
		}
		if _, err := f.ReadAt(b, 0); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("read after close: %v", err)
		}
	})
}

func TestNames(t *testing.T) {
	both(t, func(t *testing.T, d FS, dir string) {
		a, b, sub := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "x", "y")
		for _, name := range []string{b, a} {
			f, err := d.Create(name)
			must(t, err)
			write(t, f, 0, name)
			must(t, f.Close())
		}
		must(t, d.MkdirAll(sub))
		must(t, d.MkdirAll(sub))
		must(t, d.SyncDir(dir))
		if names, err := d.List(dir); err != nil || !slices.Equal(names, []string{"a", "b"}) {
			t.Errorf("list: %v, %v", names, err)
		}
		if _, err := d.Create(a); !errors.Is(err, fs.ErrExist) {
			t.Errorf("create what exists: %v", err)
		}
		must(t, d.Rename(a, b))
		if got := read(t, d, b); got != a {
			t.Errorf("after a rename: %q", got)
		}
		for what, err := range map[string]error{
			"open":    errorOf(d.Open(a)),
			"open rw": errorOf(d.OpenRW(a)),
			"remove":  d.Remove(a),
			"rename":  d.Rename(a, b),
			"list":    errorOf(d.List(filepath.Join(dir, "none"))),
			"sync":    d.SyncDir(filepath.Join(dir, "none")),
			"create":  errorOf(d.Create(filepath.Join(dir, "none", "a"))),
		} {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s what does not exist: %v", what, err)
			}
		}
		f, err := d.Open(b)
		must(t, err)
		if _, err := f.WriteAt([]byte("x"), 0); err == nil {
			t.Error("write to a file opened for reading")
		}
		must(t, d.Remove(b))
		got := make([]byte, len(a))
		if _, err := f.ReadAt(got, 0); err != nil && !errors.Is(err, io.EOF) || string(got) != a {
			t.Errorf("read a removed file that is open: %q, %v", got, err)
		}
		must(t, f.Close())
	})
}

func errorOf[T any](_ T, err error) error { return err }

func TestLock(t *testing.T) {
	both(t, func(t *testing.T, d FS, dir string) {
		name := filepath.Join(dir, "lock")
		for range 2 {
			lock, err := d.Lock(name)
			must(t, err)
			if _, err := d.Lock(name); !errors.Is(err, ErrLocked) {
				t.Errorf("second lock: %v", err)
			}
			must(t, lock.Close())
		}
	})
}

// TestRealKeepsToItself checks what other users of the machine see and can do.
func TestRealKeepsToItself(t *testing.T) {
	d, dir := Real(), filepath.Join(t.TempDir(), "data")
	must(t, d.MkdirAll(dir))
	f, err := d.Create(filepath.Join(dir, "a"))
	must(t, err)
	must(t, f.Close())
	for name, want := range map[string]fs.FileMode{dir: 0o700, filepath.Join(dir, "a"): 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	link := filepath.Join(dir, "link")
	must(t, os.Symlink(filepath.Join(dir, "a"), link))
	if _, err := d.OpenRW(link); err == nil {
		t.Error("followed a symbolic link")
	}
	if names, err := d.List(dir); err != nil || !slices.Equal(names, []string{"a"}) {
		t.Errorf("list: %v, %v", names, err)
	}
	if err := d.MkdirAll(filepath.Join(dir, "a", "b")); err == nil {
		t.Error("made a directory in a file")
	}
}
