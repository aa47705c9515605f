package server

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"testing"

	"github.com/grovekeeper/grove/server/checkpoint"
)

// The claim: whatever bytes of a data directory are wrong, a server either comes up with exactly what
// was acknowledged or refuses, naming the file and the place; Check says the same without touching
// anything. GROVE_DAMAGE=full tries every bit, GROVE_DAMAGE=5000 so many of each part; without, it is 250.
func TestDamage(t *testing.T) {
	w := buildWorld(t, 0)
	t.Logf("%d entries, checkpoint at %d, %d bytes of log, %d bytes of checkpoint",
		w.last, w.base, w.end, len(w.killed[checkpointName]))
	t.Run("nothing", func(t *testing.T) { testIntact(t, w) })
	t.Run("bits of the log", func(t *testing.T) { testLogBits(t, w) })
	t.Run("bits of the checkpoint", func(t *testing.T) { testCheckpointBits(t, w) })
	t.Run("bits of the watermark", func(t *testing.T) { testWatermarkBits(t, w) })
	t.Run("cuts", func(t *testing.T) { testCuts(t, w) })
	t.Run("sectors", func(t *testing.T) { testSectors(t, w) })
	t.Run("files", func(t *testing.T) { testFiles(t, w) })
	t.Run("segments", testSegments)
}

func keep(b []byte) []byte { return b }

// An image that nobody has damaged is served, in all the forms in which the others are damaged.
func testIntact(t *testing.T, w *world) {
	whole := []trial{{name: "nothing", file: segmentFile, damage: keep, atLeast: w.last}}
	for _, im := range []dirImage{w.killed, w.closed, w.unmarked(), w.stale()} {
		w.want(t, 0, tryAll(t, w, im, whole))
	}
	w.want(t, 0, tryAll(t, w, w.early, []trial{{name: "nothing", file: segmentFile, damage: keep, atLeast: w.before}}))
}

// unmarked is the killed dirImage without a watermark, stale that with a watermark of before the tail was
// written: with either, the log must be judged by itself.
func (w *world) unmarked() dirImage { return w.killed.with(watermarkFile, nil) }
func (w *world) stale() dirImage    { return w.killed.with(watermarkFile, w.early[watermarkFile]) }

// want fails the test unless exactly so many trials were refused, and every other recovered whole.
func (w *world) want(t *testing.T, refused int, verdicts []verdict) {
	t.Helper()
	for _, v := range verdicts {
		if v.refused != nil {
			refused--
		}
	}
	if refused != 0 && !t.Failed() {
		t.Errorf("%d trials more were refused than should be", -refused)
	}
}

// thrift says which part of the usual trials to make, one in so many: fewer if in a hurry, and fewer still
// under the race detector, which slows them down tenfold.
func thrift() int {
	if b, ok := debug.ReadBuildInfo(); ok && slices.Contains(b.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		return 13
	}
	if testing.Short() {
		return 5
	}
	return 1
}

// sample returns how many of n to try.
func sample(n int) int {
	if full() {
		return n
	}
	if many, err := strconv.Atoi(os.Getenv("GROVE_DAMAGE")); err == nil {
		return min(n, many)
	}
	return min(n, 250/thrift())
}

// A bit that differs in a record of the log is never taken for the end of a torn write, not even
// in the last record, which nothing else speaks for. One that differs behind the end does not matter.
func testLogBits(t *testing.T, w *world) {
	r := chance(t)
	used, tail := int(w.end), 2*commitBytes+300
	for _, one := range []struct {
		name     string
		im       dirImage
		from, to int
		refused  bool
	}{
		{"every part of it", w.killed, 0, used, true},
		{"the tail", w.killed, used - tail, used - commitBytes, true},
		{"every part of it, without a watermark", w.unmarked(), 0, used, true},
		{"the tail, without a watermark", w.unmarked(), used - tail, used, true},
		{"every part of it, closed", w.closed, 0, used, true},
		{"unused", w.killed, used, used + 4096, false},
		{"unused, far behind", w.unmarked(), used + 4096, 1 << 20, false},
	} {
		t.Run(one.name, func(t *testing.T) {
			count := sample(8 * (one.to - one.from))
			if !one.refused {
				count = min(count, 5000)
			}
			var trials []trial
			for _, bit := range r.Perm(8 * (one.to - one.from))[:count] {
				trials = append(trials, w.flip(segmentFile, int64(one.from+bit/8), bit%8))
			}
			if verdicts := tryAll(t, w, one.im, trials); one.refused {
				w.want(t, len(trials), verdicts)
			} else {
				w.want(t, 0, verdicts)
			}
		})
	}
}

// Much of a checkpoint's file is free, and need not be right.
func testCheckpointBits(t *testing.T, w *world) {
	r := chance(t)
	for _, im := range []dirImage{w.killed, w.closed} {
		bits := 8 * len(im[checkpointName])
		var trials []trial
		for _, bit := range r.Perm(bits)[:sample(bits)] {
			trials = append(trials, w.flip(checkpointName, int64(bit/8), bit%8))
		}
		tryAll(t, w, im, trials)
	}
}

// The watermark is a witness: it may fail to appear, but it does not lie.
func testWatermarkBits(t *testing.T, w *world) {
	for _, im := range []dirImage{w.killed, w.closed, w.stale()} {
		var trials []trial
		for bit := 0; bit < 8*len(im[watermarkFile]); bit += thrift() {
			trials = append(trials, w.flip(watermarkFile, int64(bit/8), bit%8))
		}
		w.want(t, 0, tryAll(t, w, im, trials))
	}
}

// A log that ends in the middle of a record is cut if nothing says that more was there, and refused otherwise.
func testCuts(t *testing.T, w *world) {
	marked := markOf(w.early[watermarkFile])
	from, step := max(marked, w.end-600), int64(thrift())
	if full() {
		from = marked - 400 // the early watermark vouches for what is in front of it
	}
	cuts := func(name string, step int64, stale bool, damage func(b []byte, at int64) []byte) (list []trial) {
		for at := from; at < w.end+8; at += step {
			atLeast := w.last
			if stale && at >= marked {
				atLeast = w.before
			}
			list = append(list, trial{
				name: fmt.Sprintf("%s at %d of %d", name, at, w.end), file: segmentFile, atLeast: atLeast,
				damage: func(b []byte) []byte { return damage(b, at) },
			})
		}
		return list
	}
	zeros := func(b []byte, at int64) []byte { clear(b[at:]); return b }
	r := chance(t)

	t.Run("file", func(t *testing.T) {
		trials := cuts("file ends", step, false, func(b []byte, at int64) []byte { return b[:at] })
		w.want(t, len(trials), tryAll(t, w, w.killed, trials))
		w.want(t, len(trials), tryAll(t, w, w.unmarked(), trials))
	})
	t.Run("known to have been longer", func(t *testing.T) {
		tryAll(t, w, w.killed, cuts("zeros", step, false, zeros))
	})
	t.Run("not known to have been longer", func(t *testing.T) {
		trials := cuts("zeros", step, true, zeros)
		w.wantTails(t, trials, tryAll(t, w, w.stale(), trials))
	})
	t.Run("garbage", func(t *testing.T) {
		noise := make([]byte, w.end+100) // drawn once: trials are tried side by side
		fill(r, noise)
		trials := cuts("garbage", 3*step, true, func(b []byte, at int64) []byte {
			copy(b[at:], noise[at:])
			return b
		})
		tryAll(t, w, w.stale(), trials)
	})
}

func fill(r *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(r.Uint32())
	}
}

// wantTails fails the test unless what is left of the log grows with the place of the cut, one entry at a time.
func (w *world) wantTails(t *testing.T, trials []trial, verdicts []verdict) {
	t.Helper()
	refused, at := true, w.before
	for i, v := range verdicts {
		switch {
		case v.refused != nil && !refused:
			t.Errorf("%s: refused, and a cut before it was not: %v", trials[i].name, v.refused)
		case v.refused == nil && (v.index < at || v.index > at+1 && thrift() == 1 && !refused):
			t.Errorf("%s: entry %d is the last, and %d with a cut before it", trials[i].name, v.index, at)
		}
		if v.refused == nil {
			refused, at = false, v.index
		}
	}
	if at != w.last {
		t.Errorf("a cut behind the end leaves %d entries of %d", at, w.last)
	}
}

const sectorBytes = 512

// testSectors has sectors vanish, as disks and thin volumes let them, or come back as others.
func testSectors(t *testing.T, w *world) {
	r, every := chance(t), 2*thrift()
	if full() {
		every = 1
	}
	ways := []struct {
		name   string
		damage func(sector, next []byte)
	}{
		{"zeroed", func(sector, _ []byte) { clear(sector) }},
		{"all ones", func(sector, _ []byte) { copy(sector, bytes.Repeat([]byte{0xff}, sectorBytes)) }},
		{"that of the next", func(sector, next []byte) { copy(sector, next) }},
		{"garbage", func(sector, _ []byte) { fill(r, sector) }},
	}
	for _, im := range []dirImage{w.killed, w.stale(), w.closed} {
		var trials []trial
		for _, file := range []string{segmentFile, checkpointName} {
			for at := 0; at+2*sectorBytes <= len(im[file]); at += sectorBytes {
				for i, way := range ways {
					if far := file == segmentFile && at > int(w.end)+sectorBytes; far || (at/sectorBytes+i)%every > 0 {
						continue
					}
					content := bytes.Clone(im[file])
					way.damage(content[at:at+sectorBytes], content[at+sectorBytes:at+2*sectorBytes])
					atLeast := w.last
					if at+sectorBytes > int(markOf(im[watermarkFile])) {
						atLeast = w.before // it may have been a torn write
					}
					trials = append(trials, trial{
						name: fmt.Sprintf("sector at %d of %s: %s", at, file, way.name), file: file, atLeast: atLeast,
						damage: func([]byte) []byte { return content },
					})
				}
			}
		}
		tryAll(t, w, im, trials)
	}
}

// testFiles has files vanish, be cut short, go back in time, or turn up from elsewhere.
func testFiles(t *testing.T, w *world) {
	other := buildWorld(t, 0)
	replace := func(content []byte) func([]byte) []byte { return func([]byte) []byte { return content } }
	recovered := []trial{
		{name: "no lock", file: lockName},
		{name: "no watermark", file: watermarkFile},
		{name: "earlier watermark", file: watermarkFile, damage: replace(w.early[watermarkFile])},
		{name: "another's watermark", file: watermarkFile, damage: replace(other.killed[watermarkFile])},
		{name: "earlier checkpoint", file: checkpointName, damage: replace(w.early[checkpointName])},
		{name: "half a new checkpoint", file: checkpointName + ".new", damage: replace(w.killed[checkpointName][:5000])},
		{name: "half a prepared segment", file: logName + "/prepare.tmp", damage: replace(make([]byte, 5000))},
		{name: "prepared segment", file: logName + "/0000000000000002.log", damage: replace(make([]byte, 4<<20))},
		{name: "copy of a segment", file: logName + "/0000000000000007.log", damage: replace(w.killed[segmentFile])},
		{name: "stranger", file: logName + "/notes.txt", damage: replace([]byte("remember the milk"))},
	}
	for i := range recovered {
		recovered[i].atLeast = w.last
	}
	w.want(t, 0, tryAll(t, w, w.killed, recovered))

	refused := []trial{
		{name: "no checkpoint", file: checkpointName, vague: true},
		{name: "no segment", file: segmentFile, vague: true},
		{name: "new checkpoint", file: checkpointName, damage: replace(emptyCheckpoint(t)), vague: true},
		{name: "another's checkpoint", file: checkpointName, damage: replace(other.killed[checkpointName]), vague: true},
		{name: "another's segment", file: segmentFile, damage: replace(other.killed[segmentFile]), vague: true},
		{name: "earlier segment", file: segmentFile, damage: replace(w.early[segmentFile])},
		{name: "empty segment", file: segmentFile, damage: replace([]byte{}), vague: true},
		{name: "empty checkpoint", file: checkpointName, damage: replace([]byte{})},
	}
	for i := range refused {
		refused[i].atLeast = w.last
	}
	w.want(t, len(refused), tryAll(t, w, w.killed, refused))
	var shorter []trial // behind its last page a checkpoint may be of any length
	for at := 1; at < len(w.killed[checkpointName]); at += 777 * thrift() {
		shorter = append(shorter, trial{name: fmt.Sprintf("checkpoint of %d bytes", at), file: checkpointName,
			atLeast: w.last, damage: replace(w.killed[checkpointName][:at])})
	}
	tryAll(t, w, w.killed, shorter)
	// A checkpoint is a witness too: without a watermark it still knows how far the log must reach.
	w.want(t, 3, tryAll(t, w, w.unmarked(), []trial{refused[0], refused[1], {
		name: "zeros from in front of the checkpoint", file: segmentFile, atLeast: w.last,
		damage: func(b []byte) []byte { clear(b[markOf(w.early[watermarkFile])/2:]); return b },
	}}))
}

// emptyCheckpoint returns the file of a server that was killed before it had written anything into it.
func emptyCheckpoint(t *testing.T) []byte {
	path := filepath.Join(t.TempDir(), checkpointName)
	store, err := checkpoint.Open(path, checkpoint.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// testSegments damages a log of more than one segment.
func testSegments(t *testing.T) {
	w := buildWorld(t, 8)
	if w.newest != secondFile {
		t.Fatalf("the log ends in %s", w.newest)
	}
	replace := func(content []byte) func([]byte) []byte { return func([]byte) []byte { return content } }
	first, second := w.killed[segmentFile], w.killed[secondFile]
	refused := []trial{
		{name: "no first segment", file: segmentFile, vague: true},
		{name: "no second segment", file: secondFile},
		{name: "first again", file: secondFile, damage: replace(first), vague: true},
		{name: "second in place of the first", file: segmentFile, damage: replace(second), vague: true},
		{name: "second without its header", file: secondFile, damage: func(b []byte) []byte { clear(b[:96]); return b }},
		{name: "second begun in vain", file: secondFile, damage: func(b []byte) []byte { clear(b[96:]); return b }},
		{name: "second of zeros", file: secondFile, damage: replace(make([]byte, len(second)))},
		{name: "no end of the first", file: segmentFile, damage: func(b []byte) []byte { clear(b[len(b)/2:]); return b }},
	}
	r := chance(t)
	for range sample(60) {
		refused = append(refused,
			w.flip(segmentFile, r.Int64N(900_000), r.IntN(8)),
			w.flip(secondFile, r.Int64N(96), r.IntN(8)),
			w.flip(secondFile, r.Int64N(w.end), r.IntN(8)))
	}
	for i := range refused {
		refused[i].atLeast = w.last
	}
	w.want(t, len(refused), tryAll(t, w, w.killed, refused))
	tryAll(t, w, w.killed, []trial{{name: "second copied behind itself", file: logName + "/0000000000000003.log",
		damage: replace(second), atLeast: w.last}})
}
