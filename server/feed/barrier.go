package feed

import (
	"github.com/grovekeeper/grove/internal/bug"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/znode"
)

// barrier is a sync request that waits until this server has applied index.
type barrier struct {
	in     *Inbox
	ticket uint64
	index  znode.Zxid
}

// Sync completes the ticket once this server has applied everything that was acknowledged, by any
// server, before the call. A quorum confirms what that is.
func (f *Feed) Sync(in *Inbox, ticket uint64) {
	if bug.On(bug.SyncLocal) {
		if v := f.view.Load(); in.push(item{done: Completion{ticket, state.Result{Zxid: v.Zxid}, v}}, 0) {
			in.signal()
		}
		return
	}
	err := f.cfg.Log.ReadIndex(func(index uint64, err error) {
		if err != nil {
			in.end()
			return
		}
		f.Await(in, ticket, znode.Zxid(index))
	})
	if err != nil {
		in.end() // nobody confirms any more, or too many ask: the client tries again, perhaps elsewhere
	}
}

// Await completes the ticket once this server has applied zxid.
func (f *Feed) Await(in *Inbox, ticket uint64, zxid znode.Zxid) {
	f.mu.Lock()
	v := f.view.Load()
	late := v.Zxid < zxid && !bug.On(bug.BarrierEarly)
	if late {
		f.barriers = append(f.barriers, barrier{in, ticket, zxid})
	}
	f.mu.Unlock()
	if !late && in.push(item{done: Completion{ticket, state.Result{Zxid: v.Zxid}, v}}, 0) {
		in.signal()
	}
}

// dueBarriers removes and returns the barriers at or below zxid. The caller holds mu.
func (f *Feed) dueBarriers(zxid znode.Zxid) []barrier {
	if len(f.barriers) == 0 {
		return nil
	}
	var due []barrier
	kept := f.barriers[:0]
	for _, b := range f.barriers {
		if b.index <= zxid {
			due = append(due, b)
		} else {
			kept = append(kept, b)
		}
	}
	clear(f.barriers[len(kept):])
	f.barriers = kept
	return due
}
