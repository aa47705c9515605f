package replica

import (
	"bytes"
	"encoding/binary"

	"go.etcd.io/raft/v3"

	"github.com/grovekeeper/grove/internal/bug"
)

// reads are the questions "which index must a state have applied to be fresh?". One round is asked
// of Raft at a time, for all that wait when it begins; those that come later gather for the next.
// Raft may lose a round without a word, so a round that is not answered in time, or whose term
// ends, is asked again. It then gets a new mark: an answer to an old question, even of this
// member's former life, must not pass for one to the new.
type reads struct {
	boot     uint64
	patience int // ticks to wait for an answer

	waiting int // all that are not answered, those of the round first

	round int    // how many the round asks for; 0 if there is none
	mark  []byte // boot and number of the round
	asked uint64 // number of the newest round
	age   int    // ticks since
}

// ReadIndex asks for an index. The answers come in order, counted by Output.Reads, and not before a
// leader is known and has made sure that it still leads.
func (c *Core) ReadIndex() { c.reads.waiting++ }

// ask begins a round if reads wait and there is none.
func (c *Core) ask() {
	r := &c.reads
	if r.waiting == 0 || r.round > 0 || !c.answerable() {
		return
	}
	if r.asked++; bug.On(bug.ReadMarkReused) {
		r.asked = 1
	}
	r.mark = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, r.boot), r.asked)
	r.round, r.age = r.waiting, 0
	c.node.ReadIndex(r.mark)
}

// answerable says whether a round has a chance. A leader has one when an entry of its own term is
// agreed: until then it does not know how far its predecessor came. Raft would let a lone voter
// answer all the same, with an index from before its restart.
func (c *Core) answerable() bool {
	if c.soft.Role != Leader {
		return c.soft.Leader != 0
	}
	if bug.On(bug.ReadUnconfirmed) {
		c.due.Reads, c.due.Read = c.due.Reads+c.reads.waiting, c.hard.Commit
		c.reads.waiting = 0
		return false
	}
	term, err := c.store.Term(c.hard.Commit)
	return err == nil && term == c.hard.Term
}

// answered notes the answer to a round.
func (c *Core) answered(s raft.ReadState) {
	r := &c.reads
	if r.round == 0 || !bytes.Equal(s.RequestCtx, r.mark) {
		return // to a round that was given up
	}
	c.due.Reads, c.due.Read = c.due.Reads+r.round, s.Index
	r.waiting -= r.round
	r.round = 0
}

// tick gives the round up when it has waited for long enough.
func (r *reads) tick() {
	if r.age++; r.age >= r.patience {
		r.lost()
	}
}

// lost gives the round up: its reads wait for the next.
func (r *reads) lost() { r.round = 0 }
