package server

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/grovekeeper/grove/internal/disk"
	"github.com/grovekeeper/grove/server/checkpoint"
	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/server/wal"
	"github.com/grovekeeper/grove/znode"
)

// The names below a server's directory.
const (
	lockName       = "LOCK"
	checkpointName = "checkpoint.db"
	logName        = "log"
)

// storage is what a server has in its directory.
type storage struct {
	dir  string
	lock io.Closer
	wal  *wal.Log // nil until the server knows its cluster

	mu    sync.Mutex // guards store once Run runs: checkpoints and images are both written to it
	store *checkpoint.Store
}

// open takes the directory and opens the checkpoint, which is new and empty if there was none.
func (d *storage) open(recentMax int) error {
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	lock, err := disk.Real().Lock(filepath.Join(d.dir, lockName))
	if err != nil {
		return fmt.Errorf("lock data directory %s: is another server using it? %w", d.dir, err)
	}
	d.lock = lock
	path := filepath.Join(d.dir, checkpointName)
	used, err := logExists(d.dir)
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); used && errors.Is(err, os.ErrNotExist) {
		return noCheckpoint(path) // before an empty one is made
	}
	if d.store, err = checkpoint.Open(path, checkpoint.Options{RecentMax: recentMax}); err != nil {
		return err
	}
	return nil
}

// load returns the state that the checkpoint holds.
func (d *storage) load() (*state.Machine, error) {
	machine, err := d.store.Load()
	if err != nil {
		return nil, err
	}
	if _, written := d.store.Meta(); written {
		return machine, nil
	}
	if used, err := logExists(d.dir); used || err != nil {
		return nil, errors.Join(err, noCheckpoint(filepath.Join(d.dir, checkpointName)))
	}
	return machine, nil
}

// noCheckpoint refuses a directory with a log and nothing that the log could be applied to: a server
// writes the first checkpoint before it makes a log.
func noCheckpoint(path string) error {
	return fmt.Errorf("%s has a log but no checkpoint: restore %s or move the directory away", filepath.Dir(path), path)
}

func logExists(dir string) (bool, error) {
	entries, err := os.ReadDir(filepath.Join(dir, logName))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return len(entries) > 0, err
}

// openLog opens the log that goes with the checkpoint.
func (d *storage) openLog(meta checkpoint.Meta) error {
	if used, err := logExists(d.dir); err != nil || !used && installed(meta) {
		// There need not be an entry of it, but this server's votes are in it.
		return errors.Join(err, fmt.Errorf("%s has the state of an image but no log: move the directory away", d.dir))
	}
	log, err := wal.Open(disk.Real(), filepath.Join(d.dir, logName), logOptions(meta))
	if err != nil {
		return err
	}
	d.wal = log
	return nil
}

// mustHaveLog says whether a server with this checkpoint had a log: it is made after the first checkpoint
// is written, and before anything else is.
func mustHaveLog(meta checkpoint.Meta) bool {
	return uint64(meta.State.Zxid) > replica.Bootstrap(meta.Member).Index
}

// logOptions says what a log must be to go with a checkpoint.
func logOptions(meta checkpoint.Meta) wal.Options {
	zxid := uint64(meta.State.Zxid)
	o := wal.Options{
		Identity: wal.Identity{Cluster: meta.Cluster, Member: meta.Member, Incarnation: meta.Incarnation},
		Start:    zxid + 1,
	}
	if mustHaveLog(meta) && !installed(meta) {
		o.Witness = zxid // a later state than the first was made of entries that the log has held
	}
	return o
}

// startOf says where a replica begins that has the checkpoint.
func startOf(meta checkpoint.Meta) replica.Start {
	return replica.Start{
		Index: uint64(meta.State.Zxid), Term: meta.Term, ConfState: meta.Members, Installed: installed(meta),
	}
}

// write brings the checkpoint up to date with what was pinned. One that an image has overtaken is not
// written: it is older than what is there.
func (d *storage) write(p *feed.Pinned) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	meta, _ := d.store.Meta()
	if p.View.Zxid < meta.State.Zxid {
		return nil
	}
	if meta.Term, meta.Members = p.Term, p.ConfState; p.View.Zxid > meta.State.Zxid {
		meta.Extra = nil // the log has held the entries since the image
	}
	return d.store.Write(p.View, checkpoint.Recent{From: p.RecentFrom, Changes: p.Recent}, meta)
}

// install puts the state of an image in place of what is there.
func (d *storage) install(machine *state.Machine, i replica.Image) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	meta, _ := d.store.Meta()
	meta.Term, meta.Members, meta.Extra = i.Term, i.ConfState, installedAt(i.Index)
	return d.store.Write(machine.View(), checkpoint.Recent{From: znode.Zxid(i.Index)}, meta)
}

func (d *storage) close() error {
	var errs []error
	if d.wal != nil {
		errs = append(errs, d.wal.Close())
	}
	if d.store != nil {
		errs = append(errs, d.store.Close())
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	return errors.Join(errs...)
}
