// Package disk is the handful of file-system calls the log makes, as an interface with two
// implementations: Real, which asks the kernel, and Memory, which can lose power.
//
// What a write promises is the same on both: nothing, until File.Sync has returned nil. What a
// directory change promises is nothing either, until SyncDir has returned nil. The package
// knows nothing of what the bytes mean.
package disk

import (
	"errors"
	"io"
)

// ErrLocked says that another process holds the lock.
var ErrLocked = errors.New("disk: locked by another process")

// FS is one file system. Names are ordinary paths. An error that means "does not exist"
// or "exists already" satisfies errors.Is with fs.ErrNotExist or fs.ErrExist.
type FS interface {
	// Create makes a new empty file, readable by its owner only, and opens it for reading and
	// writing. It fails if the name is taken, and does not follow a symbolic link.
	Create(name string) (File, error)
	// Open opens an existing file for reading.
	Open(name string) (File, error)
	// OpenRW opens an existing file for reading and writing.
	OpenRW(name string) (File, error)
	// Remove deletes a file. Files open under that name stay usable.
	Remove(name string) error
	// Rename gives a file another name in the same directory, replacing what had it.
	Rename(from, to string) error
	// List returns the names (not paths) of the regular files of a directory, sorted.
	List(dir string) ([]string, error)
	// MkdirAll makes a directory, readable by its owner only, and its missing parents, durably.
	MkdirAll(dir string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
	// Lock takes the lock that the named file stands for, making the file if need be, without
	// waiting: ErrLocked if another process has it. Closing the result gives it back; so does
	// the end of the process.
	Lock(name string) (io.Closer, error)
}

// File is an open file. ReadAt may be called concurrently with itself and with WriteAt to other
// bytes; the other methods belong to one goroutine at a time.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes the bytes written so far, and the size needed to read them back, durable. After
	// an error nothing is known about any byte written since the last success, and asking
	// again proves nothing: the caller must give the file up.
	Sync() error
	// Truncate sets the size; bytes gained read as zero.
	Truncate(size int64) error
	// Size returns the size in bytes.
	Size() (int64, error)
}
