package front_test

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/server/front"
	"github.com/grovekeeper/grove/session"
)

func (h *house) hears(k *client) bool { return slices.Contains(h.front.Heard(), session.ID(k.id)) }

// A session that only reads, or only pings, is heard of between any two looks.
func TestASessionThatOnlyReadsIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := plan{listen: newPipes()}.build(t)
		k := h.open(t)
		h.front.Heard()
		for range 5 {
			k.call(wire.OpGetData, &wire.GetDataRequest{Path: "/"})
			if !h.hears(k) {
				t.Fatal("a read was not heard")
			}
			if k.send(wire.OpPing, nil); k.reply().Err != wire.CodeOK || !h.hears(k) {
				t.Fatal("a ping was not heard")
			}
			if h.hears(k) {
				t.Fatal("silence was heard")
			}
		}
	})
}

// A client whose requests have arrived long ago, and are taken in one by one, is alive in all that time: its
// pings wait behind them.
func TestASessionWithALongBatchIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := plan{listen: newPipes(), front: func(c *front.Config) { c.OutstandingMax = 2 }}.build(t)
		k := h.open(t)
		h.log.hold()
		var b []byte
		const batch = 8
		for i := range int32(batch) {
			b = wire.AppendRequest(b, i, wire.OpSetData, &wire.SetDataRequest{Path: "/", Version: -1})
		}
		k.write(b)
		synctest.Wait()
		if !h.hears(k) {
			t.Fatal("the batch was not heard")
		}
		for range 2 {
			if synctest.Wait(); h.hears(k) {
				t.Fatal("a client was heard of, and nothing of it was taken in")
			}
		}
		go func() {
			for range batch {
				k.reply()
			}
		}()
		h.log.release()
		if synctest.Wait(); !h.hears(k) {
			t.Error("the rest of the batch was not heard")
		}
	})
}
