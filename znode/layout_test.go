package znode

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
)

// Whatever its size, a node gives back what it was made of, and does not write into its
// neighbours. Run with -race this also checks every pointer made in layout.go.
func TestContentIsKept(t *testing.T) {
	type made struct {
		n     *Node
		kind  Kind
		extra int64
		path  string
		data  []byte
	}
	var all []made
	f := facts{acl: openACL, czxid: 1, mzxid: 2, pzxid: 3, ctime: 4, mtime: 5, version: 6, aversion: 7, creates: 8, children: 9}
	for size := range 600 {
		for kind := Persistent; kind <= TTL; kind++ {
			m := made{kind: kind, path: "/" + strings.Repeat("p", size%37), data: bytes.Repeat([]byte{byte(size)}, size)}
			if extraLen(kind) != 0 {
				m.extra = int64(size) - 300
			}
			if size == 0 && kind%2 == 0 {
				m.data = nil
			}
			data := bytes.Clone(m.data)
			m.n = newNode(facts{}, kind, m.extra, m.path, data)
			clear(data) // the node has its own copy
			if kind%2 == 0 {
				m.n = m.n.withFacts(f)
			} else {
				m.n = m.n.withData(f, m.data)
			}
			all = append(all, m)
		}
	}
	runtime.GC()
	for _, m := range all {
		n := m.n
		if n.Kind() != m.kind || n.extra() != m.extra || n.Path() != m.path || !bytes.Equal(n.Data(), m.data) ||
			(n.Data() == nil) != (m.data == nil) || n.facts != f || cap(n.Data()) != len(m.data) {
			t.Fatalf("%v node of %d bytes: %v %d %q %q %+v", m.kind, len(m.data), n.Kind(), n.extra(), n.Path(), n.Data(), n.facts)
		}
	}
}

// The allocator gives a node no more than the content needs, up to its own steps.
func TestRoomFits(t *testing.T) {
	if want := (roomMax-roomMin)/roomStep + 1; len(makers) != want {
		t.Fatalf("%d makers, want %d", len(makers), want)
	}
	data := make([]byte, 1000)
	nodes := make([]*Node, 1000)
	for _, size := range []int{1, 8, 9, 24, 25, 118, 440, 441, 900} {
		most := headSize + size + roomStep + 32 // steps of the allocator, at these sizes
		if size > roomMax {
			most = headSize + 8 + size + 128
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for i := range nodes {
			nodes[i] = newNode(facts{}, Persistent, 0, "/", data[:size-1])
		}
		runtime.ReadMemStats(&after)
		if got := int(after.TotalAlloc-before.TotalAlloc) / len(nodes); got > most {
			t.Errorf("content of %d bytes takes %d", size, got)
		}
	}
}
