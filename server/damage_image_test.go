package server

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grovekeeper/grove/internal/disk"
	"github.com/grovekeeper/grove/server/checkpoint"
	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/server/wal"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// dirImage is a data directory at rest: the bytes of its files, by path below it.
type dirImage map[string][]byte

// readImage reads the directory. A file that goes away meanwhile, as prepared segments do under
// another name, is left out.
func readImage(t testing.TB, dir string) dirImage {
	t.Helper()
	im := dirImage{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if im[name], err = os.ReadFile(path); errors.Is(err, os.ErrNotExist) {
			delete(im, name)
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return im
}

// write makes dir hold the image and nothing else.
func (im dirImage) write(t testing.TB, dir string) {
	t.Helper()
	err := os.RemoveAll(dir)
	for name, content := range im {
		path := filepath.Join(dir, name)
		err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// with returns the image with one file replaced, or without it if content is nil.
func (im dirImage) with(name string, content []byte) dirImage {
	out := maps.Clone(im)
	delete(out, name)
	if content != nil {
		out[name] = content
	}
	return out
}

func (im dirImage) names() []string { return slices.Sorted(maps.Keys(im)) }

// newest returns the name of the newest segment that has been begun.
func (im dirImage) newest() (newest string) {
	for _, name := range im.names() {
		if strings.HasSuffix(name, ".log") && binary.LittleEndian.Uint64(im[name]) != 0 {
			newest = name
		}
	}
	return newest
}

// The file names below a data directory that the trials damage, and the size of their world.
const (
	segmentFile     = logName + "/0000000000000001.log"
	secondFile      = logName + "/0000000000000002.log"
	watermarkFile   = logName + "/watermark"
	firstIndex      = 1  // applied before there is a log
	checkpointEvery = 30 // entries, in the world below
	tailEntries     = 16 // behind the second checkpoint
	bulkBytes       = 130_000
)

// trace is a state without its zxid: what must be the same again after a recovery, which adds an
// entry of its own.
type trace struct {
	nodes, sessions uint64
	time            int64
	origins         string
}

func traceOf(v *state.View) trace {
	return trace{v.Nodes.Digest(), v.Sessions.Digest(), v.Time, fmt.Sprint(v.Origins)}
}

// world is a data directory at several moments of its life, and every state it has been in.
type world struct {
	killed dirImage         // as a kill leaves it: all acknowledged, the tail in the log only
	closed dirImage         // after a clean end
	early  dirImage         // of a moment before the tail was written
	states map[trace]uint64 // every state, and the highest index at which it was
	last   uint64           // of the last entry of killed
	newest string           // the newest segment of killed
	end    int64            // of the last record in it
	base   uint64           // index of the checkpoint in killed, and in early
	before uint64           // of the last entry of early
}

// checkpointed is a logger that passes on the zxid of every checkpoint written.
type checkpointed struct {
	slog.Handler
	zxids chan int64
}

func (c checkpointed) Enabled(context.Context, slog.Level) bool { return true }

func (c checkpointed) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if r.Message == "checkpoint written" && a.Key == "zxid" {
			c.zxids <- int64(a.Value.Any().(znode.Zxid))
		}
		return true
	})
	return nil
}

// served is a server that runs in this process.
type served struct {
	*Server
	stop context.CancelFunc
	done chan error
}

func serveDir(dir string, change func(*Config)) (*served, error) {
	cfg := DefaultConfig()
	cfg.Dir, cfg.ClientAddrs = dir, []string{"127.0.0.1:0"}
	if change != nil {
		change(&cfg)
	}
	s, err := Open(cfg)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	run := &served{s, stop, make(chan error, 1)}
	go func() { run.done <- s.Run(ctx) }()
	select {
	case <-s.Ready():
		return run, nil
	case err := <-run.done:
		stop()
		return nil, errors.Join(errors.New("ended before it was ready"), err)
	}
}

func (s *served) end() error {
	s.stop()
	return <-s.done
}

// buildWorld lets two sessions make every kind of write, through two checkpoints and a tail. bulk large
// writes more take the log into its second segment.
func buildWorld(t *testing.T, bulk int) *world {
	dir := filepath.Join(scratch(t), "data")
	marks := make(chan int64, 16)
	s, err := serveDir(dir, func(c *Config) {
		c.CheckpointEvery = checkpointEvery
		c.Logger = slog.New(checkpointed{slog.DiscardHandler, marks})
	})
	if err != nil {
		t.Fatal(err)
	}
	writers := [2]*writer{openWriter(t, s.feed), openWriter(t, s.feed)}
	w, n := &world{}, 0
	write := func(count int) {
		for range count {
			writers[n%2].write(n)
			n++
		}
	}
	for range 2 {
		write(checkpointEvery)
		w.base = uint64(<-marks)
	}
	w.early, w.before = settled(t, dir), uint64(s.Zxid())
	write(tailEntries)
	for range bulk {
		writers[0].set("/node-0", make([]byte, bulkBytes))
	}
	w.killed = settled(t, dir)
	w.newest = w.killed.newest()
	acknowledged := traceOf(s.feed.View())
	if err := s.end(); err != nil {
		t.Fatal(err)
	}
	w.closed = readImage(t, dir)
	w.replay(t)
	if w.states[acknowledged] != w.last {
		t.Fatalf("the log ends at %d, and the last acknowledged state is that of %d", w.last, w.states[acknowledged])
	}
	return w
}

// writer is a session that makes one write at a time.
type writer struct {
	t       *testing.T
	feed    *feed.Feed
	inbox   *feed.Inbox
	session session.Session
	time    int64
}

func openWriter(t *testing.T, f *feed.Feed) *writer {
	w := &writer{t: t, feed: f, time: 1_700_000_000_000}
	w.join()
	w.session = w.do(state.Command{Kind: state.OpenSession, TimeoutMs: 40_000, Random: [16]byte{1, 2, 3}}).Session
	return w
}

func (w *writer) join() {
	w.inbox = w.feed.Join([]znode.Identity{{Scheme: "ip", ID: "127.0.0.1"}}, func() {})
}

// do lets the log decide c and returns the outcome, which must be a success.
func (w *writer) do(c state.Command) state.Result {
	w.t.Helper()
	w.time += 7
	c.Origin, c.Session, c.Epoch = w.feed.Origin(), w.session.ID, w.session.Epoch
	c.Time, c.IDs = w.time, w.inbox.Identities()
	c.Op.Kind = c.Kind
	if err := w.feed.Submit(w.inbox, []feed.Submission{{Command: state.AppendCommand(nil, &c)}}); err != nil {
		w.t.Fatal(err)
	}
	for {
		<-w.inbox.Ready()
		done, _ := w.inbox.TakeDone(nil)
		if len(done) == 0 {
			continue
		}
		if r := done[0].Result; r.Err == nil && (c.Kind != state.Multi || r.Failed < 0) {
			return r
		}
		w.t.Fatalf("%v %s: %+v", c.Kind, c.Op.Path, done[0].Result)
	}
}

func (w *writer) set(path string, data []byte) {
	w.t.Helper()
	w.do(state.Command{Kind: state.Set, Op: state.Op{Path: path, Data: data, Version: -1}})
}

// write makes the n-th write of a world: every kind of node, of edit and of record comes by.
func (w *writer) write(n int) {
	w.t.Helper()
	all := []znode.ACE{{Perms: znode.PermAll, Scheme: "world", ID: "anyone"}}
	path := fmt.Sprintf("/node-%d", n/12)
	op := state.Op{Path: path, Data: []byte(strings.Repeat(fmt.Sprintf("value %d ", n), 1+n%7)), ACL: all, Version: -1}
	kind := state.Create
	switch n % 12 {
	case 0:
	case 1:
		op.Path, op.Flags = path+"/temporary", 1
	case 2, 3:
		op.Path, op.Flags = path+"/numbered-", 2
	case 4:
		op.Path, op.Flags, op.Class = path+"/container", 4, znode.ClassContainer
	case 5:
		op.Path, op.Flags, op.Class, op.TTL = path+"/passing", 5, znode.ClassTTL, 1<<39
	case 6:
		other := op
		op.Kind, other.Kind, other.Path, other.Data = state.Set, state.Create, path+"/more", nil
		w.do(state.Command{Kind: state.Multi, Multi: []state.Op{op, other}})
		return
	case 7:
		kind, op.ACL = state.SetACL, []znode.ACE{{Perms: znode.PermRead, Scheme: "digest", ID: "user:hash"}}
		op.Path += "/more"
	case 8:
		kind, op.Path = state.Delete, path+"/numbered-0000000002"
	case 9:
		kind = state.AttachSession
		w.join() // the connection before ends with this
		w.session = w.do(state.Command{Kind: kind, Password: w.session.Password, TimeoutMs: 39_000}).Session
		return
	default:
		kind = state.Set
	}
	w.do(state.Command{Kind: kind, Op: op})
}

// settled reads a directory whose server has nothing to do once the watermark says that all of the log
// is on disk, which the server notes a little later than it is so.
func settled(t *testing.T, dir string) dirImage {
	t.Helper()
	copied := filepath.Join(scratch(t), "copy")
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		im := readImage(t, dir)
		im.write(t, copied)
		mark := im[watermarkFile]
		if len(mark) == 28 && markOf(mark)+commitBytes >= logEnd(t, copied, im.newest()) {
			return im
		}
	}
	t.Fatal("the watermark does not reach the end of the log")
	return nil
}

// commitBytes is what a batch without entries takes: a commit index that has moved is written down, but
// not worth a flush.
const commitBytes = 72

// markOf returns the offset in a watermark.
func markOf(watermark []byte) int64 { return int64(binary.LittleEndian.Uint64(watermark[16:])) }

// logEnd returns where the last whole batch of a segment ends.
func logEnd(t *testing.T, dir, segment string) (end int64) {
	t.Helper()
	err := wal.Check(disk.Real(), filepath.Join(dir, logName), func(f wal.Finding) {
		if f.File == filepath.Join(dir, segment) {
			end = f.Offset
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return end
}

// replay is the slow twin of a recovery: it applies the whole log to an empty machine, without a
// checkpoint, and keeps every state.
func (w *world) replay(t *testing.T) {
	t.Helper()
	dir := filepath.Join(scratch(t), "replay")
	w.killed.write(t, dir)
	w.end = logEnd(t, dir, w.newest)
	sum, err := checkpoint.Check(filepath.Join(dir, checkpointName), func(e *checkpoint.CorruptError) { t.Error(e) })
	if err != nil {
		t.Fatal(err)
	}
	if got := uint64(sum.Meta.State.Zxid); got != w.base {
		t.Fatalf("the checkpoint is of %d, want the second, of %d", got, w.base)
	}
	options := logOptions(sum.Meta)
	options.Manual = true
	log, err := wal.Open(disk.Real(), filepath.Join(dir, logName), options)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	machine, out := state.New(), state.Outcome{}
	machine.Apply(firstIndex, nil, &out)
	w.states = map[trace]uint64{traceOf(machine.View()): firstIndex}
	for w.last = firstIndex; w.last < log.Last(); {
		entries, err := log.Entries(w.last+1, log.Last()+1, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			data := e.Data
			if e.Kind != 0 { // a change of members, which the machine does not see
				data = nil
			}
			machine.Apply(znode.Zxid(e.Index), data, &out)
			w.states[traceOf(machine.View())], w.last = e.Index, e.Index
		}
	}
}

// scratch returns a directory in memory where the system has one: the trials flush thousands of times,
// and it is not the disk that is on trial.
func scratch(t testing.TB) string {
	t.Helper()
	const memory = "/dev/shm"
	if _, err := os.Stat(memory); err != nil {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "grove-damage-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// checkDir is Check with what it printed.
func checkDir(dir string) (ok bool, report string, err error) {
	var b strings.Builder
	ok, err = Check(dir, &b)
	return ok, b.String(), err
}
