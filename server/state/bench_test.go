package state

import (
	"fmt"
	"testing"

	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// batch is how many commands share a view in the benchmarks: the load that a busy server sees.
const batch = 64

var open31 = []znode.ACE{{Perms: znode.PermAll, Scheme: "world", ID: "anyone"}}

// grown returns a machine with count nodes of 100 bytes, 1,000 to a parent, and the command that
// a connected client would send.
func grown(b *testing.B, count int) (*Machine, *Command, *Outcome) {
	m, out := New(), new(Outcome)
	m.Apply(1, AppendCommand(nil, &Command{Kind: OpenSession, TimeoutMs: 4000}), out)
	c := &Command{
		Kind: Create, Session: out.Session.ID, Epoch: 1, Time: 1,
		IDs: []znode.Identity{{Scheme: "ip", ID: "127.0.0.1"}},
		Op:  Op{Kind: Create, ACL: open31, TTL: -1, Data: make([]byte, 100)},
	}
	var data []byte
	for i := range count {
		if i%1000 == 0 {
			c.Op.Path = fmt.Sprintf("/dir%04d", i/1000)
			data = AppendCommand(data[:0], c)
			m.Apply(m.Zxid()+1, data, out)
		}
		c.Op.Path = leaf(i)
		data = AppendCommand(data[:0], c)
		m.Apply(m.Zxid()+1, data, out)
		if out.Err != nil {
			b.Fatal(out.Err)
		}
	}
	return m, c, out
}

func leaf(i int) string { return fmt.Sprintf("/dir%04d/node%06d", i/1000, i) }

// entries encodes n commands made by edit out of c.
func entries(c *Command, n int, edit func(c *Command, i int)) [][]byte {
	log := make([][]byte, n)
	for i := range log {
		edit(c, i)
		log[i] = AppendCommand(nil, c)
	}
	return log
}

// applyAll applies log over and over, a view for every batch.
func applyAll(b *testing.B, m *Machine, log [][]byte, out *Outcome, each int) {
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		m.Apply(m.Zxid()+1, log[i%len(log)], out)
		if out.Err != nil || out.Failed >= 0 {
			b.Fatal(out.Err, out.Failed)
		}
		if i++; i%each == 0 {
			m.View()
		}
	}
}

func BenchmarkApplySet(b *testing.B) {
	for _, size := range []int{1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			if testing.Short() && size > 100_000 {
				b.Skip("a million nodes take a while")
			}
			m, c, out := grown(b, size)
			c.Kind = Set
			applyAll(b, m, entries(c, 1<<14, func(c *Command, i int) {
				c.Op = Op{Kind: Set, Path: leaf(i * 7919 % size), Data: make([]byte, 100), Version: -1}
			}), out, batch)
		})
	}
}

func BenchmarkApplyCreate(b *testing.B) {
	m, c, out := grown(b, 100_000)
	applyAll(b, m, entries(c, 1<<10, func(c *Command, i int) {
		c.Op = Op{Kind: Create, Path: fmt.Sprintf("/dir%04d/n-", i%100), Data: make([]byte, 100), ACL: open31, Flags: 2, TTL: -1}
	}), out, batch)
}

func BenchmarkApplyMulti(b *testing.B) {
	m, c, out := grown(b, 100_000)
	for _, tc := range []struct {
		name string
		ops  func(path string) []Op
	}{
		{"check+set", func(path string) []Op {
			return []Op{{Kind: Check, Path: path, Version: -1}, {Kind: Set, Path: path, Version: -1}}
		}},
		{"set+set", func(path string) []Op {
			return []Op{{Kind: Set, Path: path, Version: -1}, {Kind: Set, Path: "/dir0000", Version: -1}}
		}},
	} {
		b.Run(tc.name, func(b *testing.B) {
			c.Kind = Multi
			applyAll(b, m, entries(c, 1<<10, func(c *Command, i int) { c.Multi = tc.ops(leaf(i * 97 % 100_000)) }), out, batch)
		})
	}
}

// The life of a session: open, one ephemeral, close.
func BenchmarkApplySession(b *testing.B) {
	m, c, out := grown(b, 100_000)
	open := AppendCommand(nil, &Command{Kind: OpenSession, TimeoutMs: 4000})
	var create, end []byte
	b.ReportAllocs()
	for b.Loop() {
		m.Apply(m.Zxid()+1, open, out)
		c.Kind, c.Session = Create, session.ID(m.Zxid())
		c.Op = Op{Kind: Create, Path: "/dir0000/e", ACL: open31, Flags: 1, TTL: -1}
		create = AppendCommand(create[:0], c)
		m.Apply(m.Zxid()+1, create, out)
		c.Kind = CloseSession
		end = AppendCommand(end[:0], c)
		m.Apply(m.Zxid()+1, end, out)
		if out.Err != nil || len(out.Changes) != 1 {
			b.Fatal(out.Err, out.Changes)
		}
	}
}

func BenchmarkView(b *testing.B) {
	m, c, out := grown(b, 100_000)
	c.Kind, c.Op = Set, Op{Kind: Set, Path: "/dir0000", Version: -1}
	data := AppendCommand(nil, c)
	b.Run("unchanged", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.View()
		}
	})
	b.Run("after each set", func(b *testing.B) {
		applyAll(b, m, [][]byte{data}, out, 1)
	})
}

func BenchmarkCommand(b *testing.B) {
	c := &Command{
		Kind: Set, Session: 1, Epoch: 1, Time: 1,
		IDs: []znode.Identity{{Scheme: "ip", ID: "127.0.0.1"}},
		Op:  Op{Kind: Set, Path: leaf(1), Data: make([]byte, 100), Version: -1},
	}
	data := AppendCommand(nil, c)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		var buf []byte
		for b.Loop() {
			buf = AppendCommand(buf[:0], c)
		}
		b.ReportMetric(float64(len(buf)), "bytes")
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		d, into := newDecoder(), new(Command)
		for b.Loop() {
			if err := d.decode(data, into); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// What the machine itself takes: decoding, the origin, the session, one look-up near the root.
func BenchmarkApplyCheck(b *testing.B) {
	m, c, out := grown(b, 1000)
	c.Kind, c.Op = Check, Op{Kind: Check, Path: "/dir0000", Version: -1}
	applyAll(b, m, entries(c, 1, func(*Command, int) {}), out, batch)
}
