package client

import (
	"testing"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
)

// Whatever a server sends, the core neither panics nor loses a call: each ends once, or is still in one of
// the two queues.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{}, []byte{1, 2, 3})
	f.Add(wire.AppendReply(nil, 1, 5, wire.CodeOK)[4:], wire.AppendNotification(nil, 5, wire.EventNodeDeleted, "/a")[4:])
	f.Add(wire.AppendReply(nil, wire.XidSetWatches, 5, wire.CodeNoNode)[4:], wire.AppendReply(nil, wire.XidAuth, 0, -115)[4:])
	f.Fuzz(func(t *testing.T, a, b []byte) {
		now := time.Unix(0, 0)
		k := &core{settings: coreSettings{timeout: time.Second, connectTimeout: time.Second}}
		calls := []*call{
			{request: request{op: wire.OpGetData, path: "/a"}, watch: &Watch{c: &Client{}, key: watchKey{dataWatch, "/a"}, done: make(chan struct{})}},
			{request: request{op: wire.OpSetData, path: "/a"}},
			{request: request{op: wire.OpMulti}},
			{request: request{op: wire.OpCreate2, path: "/a/b"}, guid: "_c_x-"},
		}
		for _, q := range calls {
			if err := k.request(q); err != nil {
				t.Fatal(err)
			}
		}
		hello := wire.ConnectResponse{TimeoutMs: 1000, SessionID: 7, Password: make([]byte, wire.PasswordLen)}
		for range 3 {
			k.dialled(now, "h", []secret{{"digest", nil}}[:len(a)%2])
			k.take(now, nil)
			if k.frame(now, hello.Append(nil)) == nil {
				k.take(now, nil)
				k.frame(now, a)
				k.take(now, nil)
				k.frame(now, b)
			}
			k.tick(now.Add(time.Second))
			k.closed(ErrProtocol)
		}
		k.stop(ErrClosed)
		ends := map[*call]int{}
		for _, q := range k.ended {
			ends[q]++
		}
		for _, q := range calls {
			if ends[q] != 1 || q.place != over {
				t.Errorf("%v ended %d times", q.op, ends[q])
			}
		}
	})
}
