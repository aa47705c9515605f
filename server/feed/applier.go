package feed

import (
	"sync/atomic"

	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/znode"
)

// applier is what the applying goroutine owns: the machine, and the outcome of the batch at hand.
// Its slices are reused from batch to batch.
type applier struct {
	machine *state.Machine
	outcome state.Outcome

	own      int            // commands of this start of this server, in results and in the ledger alike
	results  []state.Result // theirs, in log order
	changes  []znode.Change // of the whole batch, in log order
	sessions []state.SessionChange
	told     []state.SessionChange // of all views of the batch
	touched  []*Inbox              // got something this batch
	round    uint64                // number of the batch
	ending   []*Inbox              // whose connection must close once it has sent what it has

	pinner pinner

	expired  atomic.Int64 // sessions, since the start; read from anywhere
	replayed atomic.Int64 // entries applied before Begin; likewise
}

func (a *applier) init(cfg *Config) {
	a.machine = cfg.Machine
	a.pinner.init(cfg)
}

// begin starts a batch.
func (a *applier) begin() {
	a.round++
	clear(a.touched)
	a.touched, a.told = a.touched[:0], a.told[:0]
	a.published()
}

// published empties what a view was published with.
func (a *applier) published() {
	clear(a.results)
	clear(a.changes)
	clear(a.ending)
	a.own, a.results, a.changes, a.sessions = 0, a.results[:0], a.changes[:0], a.sessions[:0]
	a.ending = a.ending[:0]
}

// step applies one entry and keeps what the batch needs of its outcome. An entry that changes the
// membership may carry a command like any other.
func (a *applier) step(e *replica.Entry, server uint8, boot uint64) {
	out := &a.outcome
	a.machine.Apply(znode.Zxid(e.Index), e.Data, out)
	a.pinner.applied(e)
	a.changes = append(a.changes, out.Changes...)
	for _, s := range out.Sessions {
		a.sessions = append(a.sessions, s)
		if s.Kind == state.Expired {
			a.expired.Add(1)
		}
	}
	// Before Begin there are none: a command of boot 0 is outside any stream, and nobody's.
	if boot != 0 && out.Origin.Server == server && out.Origin.Boot == boot && !out.Duplicate {
		a.own++
		r := out.Result
		r.Multi = append([]state.Result(nil), r.Multi...) // the outcome's slice is reused
		a.results = append(a.results, r)
	}
	if boot == 0 {
		a.replayed.Add(1)
	}
}

func (a *applier) push(in *Inbox, it item) {
	if in.push(it, a.round) {
		a.touched = append(a.touched, in)
	}
}

// wake tells each connection once, after everything of the batch is in its inbox: a connection woken
// at the first item would answer in as many small writes as there are items.
func (a *applier) wake() {
	for _, in := range a.touched {
		in.signal()
	}
}
