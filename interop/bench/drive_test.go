package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/interop/process"
)

// stub answers every request with the code that judge gives it, and keeps nothing.
type stub struct {
	addr    string
	deepest atomic.Int64 // most requests that arrived together
}

func newStub(t *testing.T, judge func(op wire.Op, body codec.Reader) wire.Code) *stub {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &stub{addr: l.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(nc, judge) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait() // each connection ends when its client closes it
	})
	return s
}

func (s *stub) serve(nc net.Conn, judge func(wire.Op, codec.Reader) wire.Code) {
	defer nc.Close()
	buf, in, greeted := make([]byte, 1<<16), []byte(nil), false
	for {
		held := copy(buf, in)
		n, err := nc.Read(buf[held:])
		if err != nil {
			return
		}
		in = buf[:held+n]
		var out []byte
		for together := int64(0); ; {
			frame, rest, _ := wire.NextFrame(in, wire.MaxFrame)
			if frame == nil {
				break
			}
			in = rest
			if !greeted {
				greeted = true
				hello := wire.ConnectResponse{TimeoutMs: 1, SessionID: 1, Password: make([]byte, wire.PasswordLen)}
				b, mark := wire.BeginFrame(nil)
				out = wire.EndFrame(hello.Append(b), mark)
				continue
			}
			together++
			s.deepest.Store(max(together, s.deepest.Load()))
			r := codec.NewReader(frame)
			var h wire.RequestHeader
			h.Decode(&r)
			out = wire.AppendReply(out, h.Xid, 1, judge(h.Op, r))
		}
		if _, err := nc.Write(out); err != nil {
			return
		}
	}
}

func accept(wire.Op, codec.Reader) wire.Code { return wire.CodeOK }

func TestDriveCountsEveryReply(t *testing.T) {
	s := newStub(t, accept)
	w := newWorkload("/w", 1000, 10)
	o, err := drive(t.Context(), s.addr, load{conns: 3, depth: 4, dur: time.Minute, each: w.filling(3)})
	if err != nil {
		t.Fatal(err)
	}
	if o.ops != 1000 || len(o.latencies) != 1000 || !slices.IsSorted(o.latencies) {
		t.Errorf("%d requests counted, %d latencies, sorted: %v",
			o.ops, len(o.latencies), slices.IsSorted(o.latencies))
	}
	if o.latencies[0] <= 0 || o.latencies[999] > o.took {
		t.Errorf("latencies from %v to %v within %v", o.latencies[0], o.latencies[999], o.took)
	}
	if deepest := s.deepest.Load(); deepest > 4 {
		t.Errorf("%d requests were outstanding", deepest)
	}
}

func TestDriveEndsInTime(t *testing.T) {
	s := newStub(t, accept)
	w := newWorkload("/w", 10, 10)
	o, err := drive(t.Context(), s.addr, load{conns: 2, depth: 2, dur: 20 * time.Millisecond, each: w.mixed})
	if err != nil || o.ops == 0 || o.took < 20*time.Millisecond {
		t.Errorf("%d requests in %v: %v", o.ops, o.took, err)
	}
}

// A server that refuses a single request is not measured.
func TestDriveFailsWithTheRequest(t *testing.T) {
	s := newStub(t, func(op wire.Op, body codec.Reader) wire.Code {
		if name, _, _, _ := wire.DecodeSetData(&body); op == wire.OpSetData && string(name) == "/w/k0000031" {
			return wire.CodeNoNode
		}
		return wire.CodeOK
	})
	w := newWorkload("/w", 100, 10)
	_, err := drive(t.Context(), s.addr, load{conns: 1, depth: 8, dur: time.Minute, each: w.sets})
	if !errors.Is(err, wire.CodeNoNode) {
		t.Errorf("ended with %v", err)
	}
}

func TestDriveEndsWithTheContext(t *testing.T) {
	s := newStub(t, accept)
	ctx, cancel := context.WithCancel(t.Context())
	w := newWorkload("/w", 10, 10)
	each := func(conn int) requests {
		next := w.sets(conn)
		return func(i int) (wire.Op, wire.Record, bool) {
			if i == 100 {
				cancel()
			}
			return next(i)
		}
	}
	if _, err := drive(ctx, s.addr, load{conns: 2, depth: 2, dur: time.Minute, each: each}); err == nil {
		t.Error("it went on")
	}
}

func TestFillingCreatesEachKeyOnce(t *testing.T) {
	w := newWorkload("/w", 10, 1)
	seen := map[string]int{}
	for conn := range 4 {
		next := w.filling(4)(conn)
		for i := 0; ; i++ {
			_, record, ok := next(i)
			if !ok {
				break
			}
			seen[record.(*wire.CreateRequest).Path]++
		}
	}
	for _, k := range w.keys {
		if seen[k] != 1 {
			t.Errorf("%s is created %d times", k, seen[k])
		}
	}
	if len(seen) != 10 {
		t.Errorf("created: %v", seen)
	}
}

func TestMixedIsNineReadsAndAWrite(t *testing.T) {
	next := newWorkload("/w", 10, 1).mixed(0)
	count := map[wire.Op]int{}
	for i := range 1000 {
		op, _, _ := next(i)
		count[op]++
	}
	if count[wire.OpGetData] != 900 || count[wire.OpSetData] != 100 {
		t.Errorf("of 1000 requests: %v", count)
	}
}

func TestWithoutZooKeeperItSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	if _, err := process.ApacheClasspath(os.Getenv, dir); err == nil || !strings.Contains(err.Error(), "zookeeper.jar") ||
		!strings.Contains(err.Error(), "ZK_CLASSPATH") {
		t.Errorf("said %v", err)
	}
	for _, name := range []string{"zookeeper.jar", "zookeeper-jute.jar", "netty-common.jar", "unrelated.jar"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	path, err := process.ApacheClasspath(os.Getenv, dir)
	if err != nil || !strings.Contains(path, "netty-common.jar") || strings.Contains(path, "unrelated.jar") {
		t.Errorf("classpath %q, %v", path, err)
	}
}

func TestParse(t *testing.T) {
	var quiet strings.Builder
	p, err := parse([]string{"-quick", "-nodes", "7", "-sections", "load,steady"}, &quiet)
	if err != nil || p.nodes != 7 || p.rounds != 1 || p.dur != time.Second ||
		!slices.Equal(p.sections, []string{"load", "steady"}) {
		t.Errorf("%+v, %v", p, err)
	}
	for _, args := range [][]string{
		{"-sections", "nothing"}, {"-rounds", "0"}, {"-steady", "1ms"}, {"-dur", "0s"}, {"more"}, {"-nodes", "x"},
	} {
		if _, err := parse(args, &quiet); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
}
