package checkpoint

import (
	"os"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// readAhead tells the system that all of f will be wanted soon, and in no particular order. It is
// advice: nobody minds if it fails.
func readAhead(f *os.File, size int64) { _ = unix.Fadvise(int(f.Fd()), 0, size, unix.FADV_WILLNEED) }

// forget takes the pages of the file that bbolt has looked at out of this process's memory; they
// stay in the system's. Otherwise a checkpoint of changes here and there, with what the system maps
// around each of them, would soon have the whole file resident beside the state itself.
func forget(db *bbolt.DB) {
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, db.Info().Data, uintptr(size(db)), unix.MADV_DONTNEED)
}
