package front_test

import (
	"fmt"
	"math/rand/v2"
	"sort"
	"sync"
	"testing"

	"github.com/grovekeeper/grove/internal/wire"
)

// What a reply at zxid Z shows is the state after Z, and what was told before it is everything up to Z:
// seen by clients that send without waiting, while the log decides in batches of whatever size.
func TestEveryReplyIsTheStateOfItsZxid(t *testing.T) {
	t.Run("reads of what there is", func(t *testing.T) { replies(t, newHouse(t, nil)) })
	t.Run("linearizable reads", func(t *testing.T) { replies(t, newHouse(t, linear)) })
}

func replies(t *testing.T, h *house) {
	const clients, nodes, requests = 4, 3, 1500
	maker := h.open(t)
	for n := range nodes {
		maker.create(fmt.Sprintf("/%d", n), "", 0)
	}
	start := h.feed.View().Zxid
	writes := make(chan written, clients*requests)
	var all []*historian
	var wg sync.WaitGroup
	for i := range clients {
		k := historian{client: h.open(t), writes: writes, chance: rand.New(rand.NewPCG(uint64(i), 0)), nodes: nodes}
		for n := range nodes {
			k.call(wire.OpAddWatch, &wire.AddWatchRequest{Path: fmt.Sprintf("/%d", n)})
		}
		all = append(all, &k)
	}
	for _, k := range all {
		wg.Go(func() { k.run(requests) })
	}
	wg.Wait()
	close(writes)
	var log []written
	for w := range writes {
		log = append(log, w)
	}
	sort.Slice(log, func(i, j int) bool { return log[i].zxid < log[j].zxid })
	for i, k := range all {
		if err := k.judge(log, int64(start)); err != nil {
			t.Errorf("client %d: %v", i, err)
		}
	}
}

// written is a write that was answered.
type written struct {
	zxid int64
	path string
	data string
}

// looked is a reply to a read.
type looked struct {
	zxid int64
	path string
	data string
	told int // events received before it
}

// historian sends at random and notes what it is told.
type historian struct {
	*client
	nodes  int
	chance *rand.Rand
	writes chan<- written
	looks  []looked
	told   int
	last   int64 // zxid of the newest frame
	wrong  error
}

type sentRequest struct {
	path, data  string
	write, sync bool
}

func (k *historian) run(requests int) {
	window := make(chan sentRequest, 24)
	var wg sync.WaitGroup
	wg.Go(func() {
		for r := range window {
			k.receive(r)
		}
	})
	for i := range requests {
		kind := k.chance.IntN(9)
		r := sentRequest{path: fmt.Sprintf("/%d", k.chance.IntN(k.nodes)), write: kind < 3, sync: kind == 3}
		if r.write {
			r.data = fmt.Sprintf("%x/%d", k.id, i)
		}
		window <- r
		switch {
		case r.write:
			k.send(wire.OpSetData, &wire.SetDataRequest{Path: r.path, Data: []byte(r.data), Version: -1})
		case r.sync:
			k.send(wire.OpSync, &wire.SyncRequest{Path: r.path})
		default:
			k.send(wire.OpGetData, &wire.GetDataRequest{Path: r.path, Watch: k.chance.IntN(5) == 0})
		}
	}
	close(window)
	wg.Wait()
}

// receive takes frames up to the reply to r.
func (k *historian) receive(r sentRequest) {
	for {
		a := k.reply()
		if a.Zxid < k.last && k.wrong == nil {
			k.wrong = fmt.Errorf("a frame of zxid %d (xid %d) comes after one of %d", a.Zxid, a.Xid, k.last)
		}
		k.last = a.Zxid
		if a.Xid == wire.XidNotification {
			k.told++
			continue
		}
		if a.Err != wire.CodeOK {
			k.wrong = a.Err
		}
		if r.write {
			k.writes <- written{a.Zxid, r.path, r.data}
			return
		}
		if r.sync {
			return
		}
		var m wire.GetDataResponse
		m.Decode(&a.body)
		k.looks = append(k.looks, looked{a.Zxid, r.path, string(m.Data), k.told})
		return
	}
}

// judge compares what the client saw with what was written.
func (k *historian) judge(log []written, start int64) error {
	if k.wrong != nil {
		return k.wrong
	}
	state := map[string]string{}
	next := 0
	for _, l := range k.looks {
		for ; next < len(log) && log[next].zxid <= l.zxid; next++ {
			state[log[next].path] = log[next].data
		}
		if state[l.path] != l.data {
			return fmt.Errorf("%s reads %q at %d, and was %q then", l.path, l.data, l.zxid, state[l.path])
		}
		if l.told != next {
			return fmt.Errorf("a reply at %d comes after %d events, and there were %d", l.zxid, l.told, next)
		}
	}
	if len(k.looks) == 0 || k.last <= start {
		return fmt.Errorf("nothing was seen")
	}
	return nil
}
