package front_test

import (
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/front"
)

// plug is the server's end of a connection without a socket: it reads what it is given, and what is
// written to it is counted.
type plug struct {
	net.Conn // nil: what is not below is not called
	in       chan []byte
	rest     []byte
	out      *meter
	end      chan struct{}
	once     sync.Once
}

// meter counts bytes, and wakes who waits for them.
type meter struct {
	bytes, want atomic.Int64
	there       chan struct{} // capacity 1
}

func newMeter() *meter { return &meter{there: make(chan struct{}, 1)} }

func (m *meter) add(n int) {
	if m.bytes.Add(int64(n)) >= m.want.Load() {
		select {
		case m.there <- struct{}{}:
		default:
		}
	}
}

// wait returns when as many bytes have been counted.
func (m *meter) wait(n int64) {
	m.want.Store(n)
	for m.bytes.Load() < n {
		<-m.there
	}
}

func (p *plug) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		select {
		case p.rest = <-p.in:
		case <-p.end:
			return 0, io.EOF
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *plug) Write(b []byte) (int, error)      { p.out.add(len(b)); return len(b), nil }
func (p *plug) Close() error                     { p.once.Do(func() { close(p.end) }); return nil }
func (p *plug) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (p *plug) SetDeadline(time.Time) error      { return nil }
func (p *plug) SetReadDeadline(time.Time) error  { return nil }
func (p *plug) SetWriteDeadline(time.Time) error { return nil }

// plugIn gives the house a connection with a session; what it is told is counted by out.
func (h *house) plugIn(out *meter) *plug {
	p := &plug{in: make(chan []byte), out: out, end: make(chan struct{})}
	h.listen.(*pipes).conns <- p
	hello, mark := wire.BeginFrame(nil)
	before := out.bytes.Load()
	p.in <- wire.EndFrame((&wire.ConnectRequest{TimeoutMs: 40000, Password: make([]byte, 16)}).Append(hello), mark)
	out.wait(before + 40)
	return p
}

func benchHouse(b *testing.B) *house {
	return plan{
		listen: newPipes(),
		front:  func(c *front.Config) { c.OutstandingMax = 1000 },
		feed:   func(c *feed.Config) { c.PendingBytesMax, c.InboxBytesMax = 16<<20, 4<<20 },
	}.build(b)
}

// BenchmarkRequest: requests of one connection from their bytes to those of the replies, in pipelines of
// several depths, without sockets; writes go through a log in memory.
func BenchmarkRequest(b *testing.B) {
	get := func(r []byte) []byte {
		return wire.AppendRequest(r, 1, wire.OpGetData, &wire.GetDataRequest{Path: "/a"})
	}
	set := func(r []byte) []byte {
		return wire.AppendRequest(r, 1, wire.OpSetData, &wire.SetDataRequest{Path: "/a", Data: make([]byte, 100), Version: -1})
	}
	const getReply, setReply = 4 + 16 + 4 + 100 + 68, 4 + 16 + 68
	for _, tc := range []struct {
		name  string
		depth int
		one   func([]byte) []byte
		reply int
	}{
		{"get/1", 1, get, getReply}, {"get/16", 16, get, getReply}, {"get/256", 256, get, getReply},
		{"set/1", 1, set, setReply}, {"set/16", 16, set, setReply}, {"set/256", 256, set, setReply},
		{"set+get/1", 1, func(r []byte) []byte { return get(set(r)) }, setReply + getReply},
		{"set+get/16", 16, func(r []byte) []byte { return get(set(r)) }, setReply + getReply},
	} {
		b.Run(tc.name, func(b *testing.B) {
			h := benchHouse(b)
			p := h.plugIn(newMeter())
			p.in <- wire.AppendRequest(nil, 1, wire.OpCreate, &wire.CreateRequest{Path: "/a", Data: make([]byte, 100), ACL: anyone})
			p.out.wait(40 + 26)
			var batch []byte
			for range tc.depth {
				batch = tc.one(batch)
			}
			want := int64(40 + 26)
			b.ReportAllocs()
			for b.Loop() {
				p.in <- batch
				want += int64(tc.depth * tc.reply)
				p.out.wait(want)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*tc.depth), "ns/request")
		})
	}
}

// BenchmarkFanOut: one set that 10,000 connections watch, to the last byte of the last event.
func BenchmarkFanOut(b *testing.B) {
	const crowd = 10_000
	h := benchHouse(b)
	w := h.plugIn(newMeter())
	w.in <- wire.AppendRequest(nil, 1, wire.OpCreate, &wire.CreateRequest{Path: "/a", ACL: anyone})
	told := newMeter()
	for i := range int64(crowd) {
		p := h.plugIn(told)
		p.in <- wire.AppendRequest(nil, 1, wire.OpAddWatch, &wire.AddWatchRequest{Path: "/a"})
		told.wait((i + 1) * (40 + 24))
	}
	set := wire.AppendRequest(nil, 1, wire.OpSetData, &wire.SetDataRequest{Path: "/a", Version: -1})
	const event = 4 + 16 + 8 + 4 + 2
	want := told.bytes.Load()
	b.ReportAllocs()
	for b.Loop() {
		w.in <- set
		want += crowd * event
		told.wait(want)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/crowd, "ns/told")
}

// BenchmarkIdle reports the memory of connections that have a session and are silent, and of those that
// have not even that. The other end of each is in the figure, and so is the session.
func BenchmarkIdle(b *testing.B) {
	const crowd = 4000
	for _, session := range []bool{false, true} {
		b.Run(fmt.Sprintf("session=%v", session), func(b *testing.B) {
			var each int64
			for range b.N {
				h := newHouse(b, nil)
				prior := memory()
				all := h.crowd(b, crowd)
				if session {
					hello, mark := wire.BeginFrame(nil)
					hello = wire.EndFrame((&wire.ConnectRequest{TimeoutMs: 40000, Password: make([]byte, 16)}).Append(hello), mark)
					for _, c := range all {
						c.Write(hello)
					}
					h.until(b, func() bool { return h.feed.Attached() == crowd && h.outstanding() == 0 })
				}
				each = (memory() - prior) / crowd
				for _, c := range all {
					c.Close()
				}
				h.stop()
			}
			b.ReportMetric(float64(each), "B/connection")
		})
	}
}
