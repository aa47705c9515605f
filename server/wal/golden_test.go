package wal

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/grovekeeper/grove/internal/disk"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is now:\n%s", path, got)
	}
}

// TestFormat holds the bytes on disk to those in testdata: a log written by an earlier version must
// stay readable, so a change here needs a new version in the header.
func TestFormat(t *testing.T) {
	w := newTwin(t, tiny())
	w.must(w.append(Batch{Entries: []Entry{
		{1, 2, 3, []byte("hello")},
		{2, 2, 0, nil},
	}, Hard: HardState{2, 1, 0}}))
	w.must(w.append(Batch{Hard: HardState{2, 1, 1}}))
	long := []Entry{{2, 3, 0, bytes.Repeat([]byte("x"), 3900)}}
	w.must(w.append(Batch{Entries: long, Hard: HardState{3, 0, 1}}))
	w.must(w.close())
	var out strings.Builder
	for _, file := range files(t, w.fs) {
		data, _ := w.fs.Bytes(file)
		fmt.Fprintf(&out, "# %s: %d bytes\n", file, len(data))
		for at := 0; at < len(data); at += 16 {
			line := data[at:min(at+16, len(data))]
			if len(bytes.Trim(line, "\x00")) > 0 && !bytes.Equal(line, bytes.Repeat([]byte("x"), 16)) {
				fmt.Fprintf(&out, "%04x  %s\n", at, strings.TrimSpace(hexWords(line)))
			}
		}
	}
	golden(t, "format.golden", out.String())
}

func hexWords(line []byte) string {
	var out strings.Builder
	for i := 0; i < len(line); i += 4 {
		out.WriteString(hex.EncodeToString(line[i:min(i+4, len(line))]) + " ")
	}
	return out.String()
}

// TestCheck says what Check reports of sound and of damaged logs.
func TestCheck(t *testing.T) {
	var out strings.Builder
	report := func(title string, fs *disk.Memory, o *Options) {
		before := fs.Clone()
		fmt.Fprintf(&out, "# %s\n", title)
		say := func(f Finding) {
			if f.Fault {
				fmt.Fprintf(&out, "%s: FAULT at %d: %s\n", f.File, f.Offset, f.Note)
				return
			}
			fmt.Fprintf(&out, "%s: %d bytes", f.File, f.Bytes)
			if f.Seq > 0 {
				fmt.Fprintf(&out, ", segment %d, %d batches of %d entries from %d",
					f.Seq, f.Batches, f.Entries, f.First)
				fmt.Fprintf(&out, ", ends at %d with entry %d, %+v", f.Offset, f.Last, f.Hard)
			}
			fmt.Fprintf(&out, "; %s\n", f.Note)
		}
		var err error
		if o == nil {
			err = Check(fs, "log", say)
		} else {
			err = CheckWith(fs, "log", *o, say)
		}
		fmt.Fprintf(&out, "error: %v\n\n", err)
		for _, file := range files(t, before) {
			was, _ := before.Bytes(file)
			is, _ := fs.Bytes(file)
			if !bytes.Equal(was, is) {
				t.Errorf("%s: %s was changed", title, file)
			}
		}
	}
	damaged := func(fs *disk.Memory, file string, change func(b []byte)) *disk.Memory {
		fs = fs.Clone()
		data, _ := fs.Bytes(file)
		change(data)
		fs.Put(file, data)
		return fs
	}

	w := newTwin(t, tiny())
	for i := uint64(1); i < 120; i += 4 {
		w.must(w.append(Batch{Entries: entriesFrom(i, 1+i/50, 4), Hard: HardState{1 + i/50, 2, i - 1}}))
		w.log.Tend()
	}
	for w.log.Tend() {
	}
	live := w.fs.Clone()
	w.must(w.close())
	file := w.log.tail.path
	report("closed", w.fs, nil)
	report("not closed", live, nil)
	report("with a witness", w.fs, &Options{Identity: identity, Start: 1, Witness: 120})
	report("with a witness beyond the end", w.fs, &Options{Identity: identity, Start: 1, Witness: 121})
	report("of another member", w.fs, &Options{Identity: Identity{1, 1, 1}})
	report("one bit", damaged(w.fs, file, func(b []byte) { b[400] ^= 1 }), nil)
	first := "log/0000000000000001.log"
	report("a sector", damaged(live, first, func(b []byte) { clear(b[1024:1536]) }), nil)
	report("a watermark", damaged(live, "log/watermark", func(b []byte) { b[9] ^= 1 }), nil)
	odd := live.Clone()
	odd.Put("log/notes.txt", []byte("hello"))
	odd.Put("log/prepare.tmp", []byte("hello"))
	odd.Remove("log/0000000000000001.log")
	report("files", odd, nil)
	empty := disk.NewMemory()
	w.must(empty.MkdirAll("log"))
	report("empty", empty, nil)
	golden(t, "check.golden", out.String())
}

// TestRealDisk runs a script on a real directory, leaving the log open as a killed process
// would, and opens it again.
func TestRealDisk(t *testing.T) {
	dir := t.TempDir() + "/data/log"
	o := tiny()
	for life := range uint64(3) {
		o.Start = life*200 + 1
		l, err := Open(disk.Real(), dir, o)
		if err != nil {
			t.Fatal(err)
		}
		if l.Last() != life*200 {
			t.Fatalf("life %d begins at %d", life, l.Last())
		}
		for i := l.Last() + 1; i <= (life+1)*200; i += 4 {
			mustAppend(t, l, Batch{Entries: entriesFrom(i, 1, 4), Hard: HardState{1, 1, i}})
			for l.Tend() {
			}
		}
		if err := l.Release(life * 200); err != nil {
			t.Fatal(err)
		}
		for _, e := range contents(t, l) {
			if string(e.Data) != string(dataOf(e.Index, 1)) {
				t.Fatalf("entry %d: %q", e.Index, e.Data)
			}
		}
		if life == 1 {
			mustClose(t, l)
		}
	}
	if err := Check(disk.Real(), dir, func(f Finding) {
		if f.Fault {
			t.Errorf("%+v", f)
		}
	}); err != nil {
		t.Fatal(err)
	}
}
