package checkpoint

import (
	"errors"
	"fmt"
	"os"
)

// Summary is what Check found in a file besides damage.
type Summary struct {
	Written  bool // a checkpoint was written; false: the file is new, and empty
	Meta     Meta // as far as it could be read
	Nodes    int
	Sessions int
	Changes  int    // recent ones, kept for clients that come back
	Staged   bool   // a write was cut short after its state was safe; the next one goes on with it
	Bytes    int64  // size of the file
	Pages    uint64 // in use or free, of 4096 bytes
	Free     uint64 // pages free
}

// Check reads and verifies all of a checkpoint that no server has open, as Open does, but goes on
// behind each damaged place that report is told of. It returns what it found; its error is
// ErrLocked, ErrNewer or an error of the file system, never damage.
func Check(path string, report func(*CorruptError)) (Summary, error) {
	f, err := lock(path, os.O_RDONLY)
	if err != nil {
		return Summary{}, err
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		return Summary{}, fmt.Errorf("check checkpoint: %w", err)
	}
	readAhead(f, stat.Size())
	return check(&image{name: path, r: f, size: stat.Size()}, report)
}

func check(im *image, report func(*CorruptError)) (Summary, error) {
	sum := Summary{Bytes: im.size}
	c, err := load(im, func(e *CorruptError) error {
		report(e)
		return nil
	})
	if damage := (*CorruptError)(nil); errors.As(err, &damage) { // of the meta pages: there is no way on
		report(damage)
		return sum, nil
	}
	if err != nil {
		return sum, err
	}
	sum.Written, sum.Meta, sum.Staged = c.written, c.meta, c.ledger.staged
	sum.Nodes, sum.Sessions, sum.Changes = c.nodes, c.sessions, len(c.changes)
	sum.Pages, sum.Free = c.pages, c.free
	return sum, nil
}
