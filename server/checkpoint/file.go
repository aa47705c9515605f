package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// lock opens the file and takes its lock: exclusive to write, shared to read. It does not wait. The
// server has a lock of its own on the whole directory; this one guards against tools.
func lock(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return nil, fmt.Errorf("open checkpoint: %w", err)
	}
	how := unix.LOCK_EX
	if flag == os.O_RDONLY {
		how = unix.LOCK_SH
	}
	err = unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
	if err == nil && !stillAt(path, f) {
		err = unix.EWOULDBLOCK // another process has put a new file in its place
	}
	if err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("lock checkpoint %s: %w", path, err)
	}
	return f, nil
}

// stillAt reports whether path names f.
func stillAt(path string, f *os.File) bool {
	opened, err1 := f.Stat()
	named, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(opened, named)
}

// openBolt gives the file to bbolt, which takes over f: its lock is taken again, on the same open
// file, and f is closed with the DB, or here if there will be none.
//
// The free list is written with every transaction (no NoFreelistSync): it is what proves, when the
// file is read, that no page was lost. And no transaction goes without its syncs (no NoSync).
func openBolt(path string, f *os.File) (db *bbolt.DB, err error) {
	defer func() {
		if p := recover(); p != nil { // it was verified a moment ago
			f.Close()
			db, err = nil, &CorruptError{File: path, Offset: -1, Reason: fmt.Sprintf("bbolt failed on it: %v", p)}
		}
	}()
	db, err = bbolt.Open(path, 0o600, &bbolt.Options{
		PageSize:     pageSize,
		FreelistType: bbolt.FreelistMapType,
		OpenFile:     func(string, int, fs.FileMode) (*os.File, error) { return f, nil },
	})
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open checkpoint: %w", err)
	}
	return db, nil
}

// newName is where a file is written that will take the place of the one at path.
func newName(path string) string { return path + ".new" }

// removeNew removes what a crash has left under the new name.
func removeNew(path string) error {
	if err := os.Remove(newName(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove what an earlier write left: %w", err)
	}
	return nil
}

// createNew makes a file with empty buckets under the new name.
func createNew(path string) (*bbolt.DB, error) {
	if err := removeNew(path); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(newName(path), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create checkpoint: %w", err)
	}
	db, err := openBolt(newName(path), f)
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for b := metaBucket; int(b) < len(bucketNames); b++ {
			if _, err := tx.CreateBucket([]byte(b.String())); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("create checkpoint: %w", err)
	}
	return db, nil
}

// install puts the file under the new name in the place of the one at path. All of it has been
// flushed; afterwards its name is durable as well.
func install(path string, e env) error {
	e.passed("new file written")
	if err := os.Rename(newName(path), path); err != nil {
		return fmt.Errorf("install checkpoint: %w", err)
	}
	e.passed("new file renamed")
	if err := syncDir(path); err != nil {
		return fmt.Errorf("install checkpoint: %w", err)
	}
	e.passed("directory flushed")
	return nil
}

// create makes a new checkpoint at path, where there is none.
func create(path string, e env) error {
	db, err := createNew(path)
	if err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return fmt.Errorf("create checkpoint: %w", err)
	}
	return install(path, e)
}

// syncDir makes the names in the directory of path durable.
func syncDir(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
