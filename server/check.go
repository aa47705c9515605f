package server

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/grovekeeper/grove/internal/disk"
	"github.com/grovekeeper/grove/server/checkpoint"
	"github.com/grovekeeper/grove/server/wal"
)

// Check verifies every checksum in the data directory at dir, which no server may be using, changes
// nothing, and writes what it finds to w. ok says whether all is well; err, that it could not tell.
func Check(dir string, w io.Writer) (ok bool, err error) {
	if _, err := os.Stat(filepath.Join(dir, checkpointName)); err != nil {
		return false, fmt.Errorf("check %s: not a data directory of grove: %w", dir, err)
	}
	lock, err := disk.Real().Lock(filepath.Join(dir, lockName))
	if err != nil {
		return false, fmt.Errorf("check %s: is a server using it? %w", dir, err)
	}
	defer lock.Close()
	c := checker{w: w, ok: true}
	if err := c.checkpoint(dir); err != nil {
		return false, err
	}
	err = c.log(dir)
	return c.ok && err == nil, err
}

// checker writes findings and remembers whether any was bad.
type checker struct {
	w       io.Writer
	ok      bool
	summary checkpoint.Summary
}

func (c *checker) checkpoint(dir string) error {
	sum, err := checkpoint.Check(filepath.Join(dir, checkpointName), func(e *checkpoint.CorruptError) {
		c.ok = false
		fmt.Fprintln(c.w, "DAMAGE", e)
	})
	if err != nil {
		return err
	}
	c.summary = sum
	if !sum.Written && c.ok {
		used, err := logExists(dir)
		if err != nil {
			return err
		}
		if used {
			c.ok = false
			fmt.Fprintln(c.w, "DAMAGE", noCheckpoint(filepath.Join(dir, checkpointName)))
		}
	}
	fmt.Fprintf(c.w, "checkpoint: zxid 0x%x, %d nodes, %d sessions, %d recent changes, %d bytes, %d of %d pages free\n",
		sum.Meta.State.Zxid, sum.Nodes, sum.Sessions, sum.Changes, sum.Bytes, sum.Free, sum.Pages)
	if sum.Staged {
		fmt.Fprintln(c.w, "checkpoint: the last write was cut short once its state was safe; the next one completes it")
	}
	return nil
}

func (c *checker) log(dir string) error {
	if c.ok && c.summary.Written && !mustHaveLog(c.summary.Meta) {
		if used, err := logExists(dir); err != nil || !used {
			fmt.Fprintln(c.w, "log: none yet")
			return err
		}
	}
	faults := 0
	report := func(f wal.Finding) {
		if f.Fault {
			faults++
			fmt.Fprintf(c.w, "DAMAGE %s at offset %d: %s\n", f.File, f.Offset, f.Note)
			return
		}
		fmt.Fprintf(c.w, "log: %s: segment %d, entries %d to %d, %d records in %d batches, %d of %d bytes used%s\n",
			filepath.Base(f.File), f.Seq, f.First, f.Last, f.Entries, f.Batches, f.Offset, f.Bytes, note(f.Note))
	}
	var err error
	if c.ok && c.summary.Written {
		err = wal.CheckWith(disk.Real(), filepath.Join(dir, logName), logOptions(c.summary.Meta), report)
	} else {
		err = wal.Check(disk.Real(), filepath.Join(dir, logName), report) // by itself: nothing can be said of how they fit
	}
	var corrupt *wal.CorruptError
	if errors.As(err, &corrupt) {
		if faults == 0 {
			fmt.Fprintln(c.w, "DAMAGE", corrupt)
		}
		c.ok, err = false, nil
	}
	c.ok = c.ok && faults == 0
	return err
}

func note(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}
