package front_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/front"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/znode"
)

// FuzzConnection throws bytes in chunks at a connection that has a session, or has not. Whatever they
// are, and in whatever manner the server serves, what comes back is whole frames, the server serves others meanwhile and afterwards, and nothing is
// left when the connection is gone.
func FuzzConnection(f *testing.F) {
	hello := framed((&wire.ConnectRequest{TimeoutMs: 5000, Password: make([]byte, 16)}).Append(nil))
	f.Add(uint8(0), false, uint8(1), hello)
	f.Add(uint8(0), false, uint8(0), append(hello, wire.AppendRequest(nil, 1, wire.OpPing, nil)...))
	f.Add(uint8(0), false, uint8(0), []byte("ruok"))
	f.Add(uint8(0), false, uint8(3), []byte{0xff, 0xff, 0xff, 0xff})
	var all []byte
	for op, body := range bodies() {
		one := wire.AppendRequest(nil, 1, op, bytesOf(body))
		f.Add(uint8(0), true, uint8(0), one)
		f.Add(uint8(0), true, uint8(7), append(one, one...))
		all = append(all, one...)
	}
	f.Add(uint8(0), true, uint8(0), all)
	f.Add(uint8(0), true, uint8(13), append(all, wire.AppendRequest(nil, 9, wire.OpCloseSession, nil)...))
	for manner := range uint8(4) {
		f.Add(manner, true, uint8(0), all)
	}
	f.Fuzz(func(t *testing.T, manner uint8, session bool, chunk uint8, sent []byte) {
		synctest.Test(t, func(t *testing.T) {
			h := plan{
				listen: newPipes(),
				front: func(c *front.Config) {
					c.OutstandingMax, c.FrameBytesMax, c.LinearizableReads = 8, 4096, manner%4 == 1
					if manner%4 == 3 {
						c.Policy = state.SkipACL
						c.Reconfigure = func(_ context.Context, _ front.ReconfigRequest, done func(znode.Zxid, error)) {
							done(0, wire.CodeNewConfigNoQuorum)
						}
					}
					c.Word = func(word string, w io.Writer) error { _, err := io.WriteString(w, word); return err }
				},
				feed: func(c *feed.Config) { c.InboxBytesMax, c.PendingBytesMax, c.RecentMax = 4096, 4096, 8 },
			}.build(t)
			other := h.open(t)
			if manner%4 == 2 {
				h.front.SetMode(front.ReadOnly)
			}
			k := h.dial(t)
			if session {
				k.hello(wire.ConnectRequest{TimeoutMs: 5000, Password: make([]byte, 16), ReadOnly: true, HasReadOnly: true})
			}
			whole := make(chan error, 1)
			go func() { whole <- frames(k.r) }()
			for rest := sent; len(rest) > 0; {
				n := len(rest)
				if chunk > 0 {
					n = min(n, int(chunk))
				}
				if _, err := k.c.Write(rest[:n]); err != nil {
					break
				}
				rest = rest[n:]
			}
			if a := other.create("/other", "x", 0); a.Err != wire.CodeOK && a.Err != wire.CodeNodeExists && a.Err != wire.CodeNoAuth {
				t.Fatalf("another client: %v", a.Err)
			}
			k.c.Close()
			if err := <-whole; err != nil && (session || !startsWithWord(sent)) {
				t.Fatal(err)
			}
			other.c.Close()
			time.Sleep(2100 * time.Millisecond) // who claims to be ahead is not seen to go before that is settled
			synctest.Wait()
			if n := len(h.front.Connections()); n != 0 {
				time.Sleep(time.Minute)
				t.Fatalf("%d connections are left, and %d a minute later", n, len(h.front.Connections()))
			}
			if n, _, _ := h.feed.WatchCounts(); n != 0 {
				t.Fatalf("%d watches are left", n)
			}
		})
	})
}

func framed(body []byte) []byte {
	b, mark := wire.BeginFrame(nil)
	return wire.EndFrame(append(b, body...), mark)
}

// frames reads frames until the end, and returns why it is none.
func frames(r *bufio.Reader) error {
	for {
		var head [4]byte
		if _, err := io.ReadFull(r, head[:]); errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		} else if err != nil {
			return nil //nolint:nilerr // the end is where it belongs: between two frames
		}
		n, err := wire.CheckLength(binary.BigEndian.Uint32(head[:]), 64<<20)
		if err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, r, int64(n)); err != nil {
			return nil //nolint:nilerr // the connection was closed by us in the middle of a frame
		}
	}
}

func startsWithWord(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	_, ok := wire.FourLetterWord(binary.BigEndian.Uint32(b))
	return ok
}
