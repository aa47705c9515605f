package server

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grovekeeper/grove/server/checkpoint"
	"github.com/grovekeeper/grove/server/wal"
)

// A trial damages one file of a data directory and says what may come of it.
type trial struct {
	name    string
	file    string
	damage  func(b []byte) []byte // changes a copy of the file, or makes one; nil deletes the file
	atLeast uint64                // if it is recovered, the state after this entry or a later one
	vague   bool                  // the file is gone or another's: a refusal may name the one that shows it
}

// verdict is what came of a trial.
type verdict struct {
	refused error
	index   uint64 // else: after which entry the recovered state is
}

// bench is a directory on which trials are made, one after the other.
type bench struct {
	t     *testing.T
	w     *world
	image dirImage
	dir   string
}

func newBench(t *testing.T, w *world, im dirImage) *bench {
	b := &bench{t, w, im, filepath.Join(scratch(t), "data")}
	im.write(t, b.dir)
	return b
}

// try makes one trial. The directory is as it was before, afterwards.
func (b *bench) try(tr trial) (v verdict) {
	path := filepath.Join(b.dir, tr.file)
	var damaged []byte
	if tr.damage != nil {
		damaged = tr.damage(bytes.Clone(b.image[tr.file]))
	}
	b.put(path, b.image[tr.file], damaged)
	defer func() {
		if p := recover(); p != nil {
			b.t.Errorf("%s: panic: %v", tr.name, p)
		}
	}()

	ok, report, err := checkDir(b.dir)
	b.unchanged(tr, path, damaged, "check")
	s, openErr := serveDir(b.dir, nil)
	if agree := ok && err == nil; agree != (openErr == nil) {
		b.t.Errorf("%s: check says %v, %v, and open %v\n%s", tr.name, ok, err, openErr, report)
	}
	if openErr != nil {
		b.named(tr, path, openErr)
		b.unchanged(tr, path, damaged, "a refusal")
		b.put(path, damaged, b.image[tr.file])
		return verdict{refused: openErr}
	}
	v.index = b.recovered(tr, s)
	b.image.write(b.t, b.dir)
	return v
}

// put gives a file its content. It writes no more than has changed: segments are large, and trials many.
func (b *bench) put(path string, was, content []byte) {
	if content == nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			b.t.Fatal(err)
		}
		return
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	from := commonPrefix(was, content)
	final := len(content)
	if len(was) == len(content) {
		for ; final > from && was[final-1] == content[final-1]; final-- {
		}
	}
	_, err = f.WriteAt(content[from:final], int64(from))
	if err = errors.Join(err, f.Truncate(int64(len(content)))); err != nil {
		b.t.Fatal(err)
	}
}

func commonPrefix(a, b []byte) int {
	const page = 4096
	n := 0
	for ; n+page <= min(len(a), len(b)) && bytes.Equal(a[n:n+page], b[n:n+page]); n += page {
	}
	for ; n < min(len(a), len(b)) && a[n] == b[n]; n++ {
	}
	return n
}

// unchanged sees that nobody has repaired what was to be looked at, or left as it is.
func (b *bench) unchanged(tr trial, path string, damaged []byte, who string) {
	got, err := os.ReadFile(path)
	if damaged == nil && filepath.Base(path) == lockName {
		return // made by whoever looks
	}
	if damaged == nil && !errors.Is(err, os.ErrNotExist) || damaged != nil && !bytes.Equal(got, damaged) {
		b.t.Errorf("%s: %s has changed the file: %v", tr.name, who, err)
	}
}

// named sees that a refusal says which file is damaged, and where.
func (b *bench) named(tr trial, path string, err error) {
	var log *wal.CorruptError
	var state *checkpoint.CorruptError
	file, offset := "", int64(-1)
	switch {
	case errors.As(err, &log):
		file, offset = log.File, log.Offset
	case errors.As(err, &state):
		file, offset = state.File, state.Offset
	}
	if file == path && offset >= 0 && strings.Contains(err.Error(), path) {
		return
	}
	if tr.vague && strings.Contains(err.Error(), b.dir) {
		return
	}
	b.t.Errorf("%s: refused without naming %s and an offset: %v", tr.name, tr.file, err)
}

// recovered sees that a server which has come up is in a state that the world has been in, not too
// early a one, and that it is still in it when it comes up again.
func (b *bench) recovered(tr trial, s *served) uint64 {
	got := traceOf(s.feed.View())
	index, known := b.w.states[got]
	if !known {
		b.t.Errorf("%s: recovered to a state that never was, at zxid %d", tr.name, s.Zxid())
	} else if index < tr.atLeast {
		b.t.Errorf("%s: recovered to the state after entry %d, and %d was acknowledged", tr.name, index, tr.atLeast)
	}
	if err := s.end(); err != nil {
		b.t.Errorf("%s: ended with %v", tr.name, err)
	}
	if index%7 != 0 && index == b.w.last { // the same again: a few times will do
		return index
	}
	again, err := serveDir(b.dir, nil)
	if err != nil {
		b.t.Errorf("%s: not recovered the second time: %v", tr.name, err)
		return index
	}
	if traceOf(again.feed.View()) != got {
		b.t.Errorf("%s: another state the second time", tr.name)
	}
	if err := again.end(); err != nil {
		b.t.Errorf("%s: ended with %v the second time", tr.name, err)
	}
	return index
}

// tryAll makes the trials on two benches at a time, and returns what became of each, in order.
func tryAll(t *testing.T, w *world, im dirImage, trials []trial) []verdict {
	t.Helper()
	begun := time.Now()
	out := make([]verdict, len(trials))
	var wg sync.WaitGroup
	workers := min(runtime.GOMAXPROCS(0), 4)
	for k := range workers {
		wg.Go(func() {
			b := newBench(t, w, im)
			for i := k; i < len(trials) && !t.Failed(); i += workers {
				out[i] = b.try(trials[i])
			}
		})
	}
	wg.Wait()
	refused, behind := 0, 0
	for _, v := range out {
		if v.refused != nil {
			refused++
		} else if v.index < w.last {
			behind++
		}
	}
	t.Logf("%d trials: %d refused, %d recovered whole, %d recovered without a tail; %v",
		len(trials), refused, len(trials)-refused-behind, behind, time.Since(begun).Round(time.Millisecond))
	return out
}

// full tells whether everything is to be tried that could be: GROVE_DAMAGE=full.
func full() bool { return os.Getenv("GROVE_DAMAGE") == "full" }

// chance returns a source seeded by GROVE_DAMAGE_SEED, or anew, and says by what.
func chance(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("GROVE_DAMAGE_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("to repeat: GROVE_DAMAGE_SEED=%d go test ./server -run %s", seed, t.Name())
	return rand.New(rand.NewPCG(seed, 0))
}

// flip is the trial of one bit. A flipped bit never costs a write: it is seen, or it does not matter.
func (w *world) flip(file string, at int64, bit int) trial {
	return trial{
		name: fmt.Sprintf("bit %d of byte %d of %s", bit, at, file), file: file, atLeast: w.last,
		damage: func(b []byte) []byte { b[at] ^= 1 << bit; return b },
	}
}
