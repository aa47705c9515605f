package wal

import (
	"fmt"
	"testing"

	"github.com/grovekeeper/grove/internal/disk"
)

var identity = Identity{Cluster: 0xc105, Member: 3, Incarnation: 7}

// small are options that make a short test see many segments.
func small() Options {
	return Options{Identity: identity, SegmentBytes: 8 << 10, FirstBytes: 4 << 10, Manual: true}
}

func mustOpen(t testing.TB, fs disk.FS, o Options) *Log {
	t.Helper()
	l, err := Open(fs, "log", o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return l
}

func mustAppend(t testing.TB, l *Log, b Batch) {
	t.Helper()
	if err := l.Append(b); err != nil {
		t.Fatalf("append: %v", err)
	}
}

func mustClose(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// entriesFrom makes n entries whose data tells index and term.
func entriesFrom(index, term uint64, n int) []Entry {
	var out []Entry
	for i := range uint64(n) {
		out = append(out, Entry{index + i, term, uint8(index+i) % 3, dataOf(index+i, term)})
	}
	return out
}

func dataOf(index, term uint64) []byte {
	return fmt.Appendf(nil, "entry %d of term %d%*s", index, term, int(index*7%40), "")
}

// contents reads the whole log.
func contents(t testing.TB, l *Log) []Entry {
	t.Helper()
	out, err := l.Entries(l.First(), l.Last()+1, 1<<40)
	if err != nil {
		t.Fatalf("entries: %v", err)
	}
	return out
}
