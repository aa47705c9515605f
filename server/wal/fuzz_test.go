package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/grovekeeper/grove/internal/disk"
)

// FuzzTwin runs a script of changes, crashes and restarts on a log and its twin.
func FuzzTwin(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(script(seed, 100), seed)
	}
	f.Fuzz(func(t *testing.T, script []byte, seed uint64) {
		script = script[:min(len(script), 300)] // each restart reads all that was written before
		w := newTwin(t, small())
		ways := []string{"lost", "kept", "every other", "any", "torn"}
		for n := seed; len(script) > 0; n++ {
			if script[0]%16 == 15 {
				w.fs.CutPower(fates(n)[ways[n%5]])
				w.reopen()
			}
			if script[0]%32 == 31 {
				w.must(w.close())
				w.reopen()
			}
			var err error
			if script, err = w.step(script); err != nil {
				t.Fatal(err)
			}
		}
		w.check()
	})
}

// FuzzOpen opens directories that were tampered with at will: it never panics and never returns an
// entry that was not written. The input is a list of edits of a sound log: a file, a place, and
// what is written there; a zero length cuts the file, a large one copies from elsewhere.
func FuzzOpen(f *testing.F) {
	w := newTwin(f, tiny())
	w.play(bytes.Repeat([]byte{0, 5, 1, 4, 8, 0, 6, 9}, 12))
	w.must(w.close())
	names := append(files(f, w.fs),
		"log/0000000000000003.log", "log/prepare.tmp", "log/00000000000000f0-moved.log")
	f.Add([]byte{0, 0, 100, 3, 1, 2, 3})
	f.Add([]byte{1, 2, 0, 0})
	f.Add([]byte{0, 0, 0, 200, 1, 8, 0, 0, 4, 255, 2, 0})
	f.Fuzz(func(t *testing.T, edits []byte) {
		fs := w.fs.Clone()
		for len(edits) >= 4 {
			edits = tamper(fs, names, edits)
		}
		known := map[uint64]map[string]bool{}
		for _, s := range w.states {
			for _, e := range s.entries {
				if known[e.Index] == nil {
					known[e.Index] = map[string]bool{}
				}
				known[e.Index][string(e.Data)] = true
			}
		}
		_ = Check(fs.Clone(), "log", func(Finding) {})
		o := tiny()
		l, err := Open(fs, "log", o)
		if err != nil {
			if !errors.As(err, new(*CorruptError)) && !errors.Is(err, ErrIdentity) {
				t.Fatal(err)
			}
			return
		}
		for _, e := range contents(t, l) {
			if !known[e.Index][string(e.Data)] {
				t.Fatalf("entry %d was never written: %q", e.Index, e.Data)
			}
		}
		mustClose(t, l)
	})
}

// tamper applies the first edit and returns the others.
func tamper(fs *disk.Memory, names []string, edits []byte) []byte {
	name := names[int(edits[0])%len(names)]
	at, n := int(binary.BigEndian.Uint16(edits[1:])), int(edits[3])
	rest := edits[4:]
	data, _ := fs.Bytes(name)
	at = min(at, len(data))
	switch {
	case n == 0:
		data = data[:at]
	case n >= 128 && len(rest) >= 3: // copy a stretch of another file
		from, _ := fs.Bytes(names[int(rest[0])%len(names)])
		start := min(int(binary.BigEndian.Uint16(rest[1:])), len(from))
		rest = rest[3:]
		piece := from[start:min(start+(n-127)*64, len(from))]
		data = overlay(data, at, piece)
	default:
		n = min(n, len(rest))
		data = overlay(data, at, rest[:n])
		rest = rest[n:]
	}
	fs.Put(name, data)
	return rest
}

// overlay returns data with piece written over it at an offset.
func overlay(data []byte, at int, piece []byte) []byte {
	out := append(bytes.Clone(data[:at]), piece...)
	return append(out, data[min(len(out), len(data)):]...)
}

// FuzzScan reads arbitrary bytes as a segment.
func FuzzScan(f *testing.F) {
	w := newTwin(f, tiny())
	w.play(bytes.Repeat([]byte{0, 5, 1, 4}, 4))
	data, _ := w.fs.Bytes("log/0000000000000001.log")
	f.Add(data)
	f.Add(data[:headerBytes])
	f.Fuzz(func(t *testing.T, data []byte) {
		fs := disk.NewMemory()
		if err := fs.MkdirAll("log"); err != nil {
			t.Fatal(err)
		}
		fs.Put("log/0000000000000001.log", data)
		_ = Check(fs, "log", func(Finding) {})
		if l, err := Open(fs, "log", tiny()); err == nil {
			contents(t, l)
			mustClose(t, l)
		}
	})
}
