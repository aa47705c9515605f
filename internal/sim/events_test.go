package sim

import (
	"hash/fnv"
	"math/rand/v2"
)

// Virtual time is in microseconds since the beginning of the run.
const (
	micro  = int64(1)
	milli  = 1000 * micro
	second = 1000 * milli
)

// event is something to be done at a time. Events of one time are done in an order that the seed
// decides.
type event struct {
	at, tie int64
	do      func()
}

func (e *event) before(f *event) bool { return e.at < f.at || e.at == f.at && e.tie < f.tie }

// schedule is a heap of events.
type schedule []event

func (h *schedule) push(e event) {
	*h = append(*h, e)
	q := *h
	for i := len(q) - 1; i > 0; {
		up := (i - 1) / 2
		if !q[i].before(&q[up]) {
			return
		}
		q[i], q[up] = q[up], q[i]
		i = up
	}
}

func (h *schedule) pop() event {
	q := *h
	top, last := q[0], len(q)-1
	q[0] = q[last]
	q[last] = event{}
	q = q[:last]
	for i := 0; ; {
		least := i
		for _, down := range [2]int{2*i + 1, 2*i + 2} {
			if down < last && q[down].before(&q[least]) {
				least = down
			}
		}
		if least == i {
			break
		}
		q[i], q[least] = q[least], q[i]
		i = least
	}
	*h = q
	return top
}

// stream returns the random numbers of one name under a seed. A draw in one stream does not shift
// the others.
func stream(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// chance says yes with probability p.
func chance(r *rand.Rand, p float64) bool { return p > 0 && r.Float64() < p }

// between draws a time from low up to high.
func between(r *rand.Rand, low, high int64) int64 {
	if high <= low {
		return low
	}
	return low + r.Int64N(high-low)
}

// around draws a time whose mean is mean, and that is mostly much less or rarely much more.
func around(r *rand.Rand, mean int64) int64 { return 1 + int64(r.ExpFloat64()*float64(mean)) }
