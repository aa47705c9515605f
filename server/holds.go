package server

import (
	"sync"

	"github.com/grovekeeper/grove/server/replica"
)

// holds keep the log from being let go too early: a peer that was sent an image needs what comes after it,
// from this log. While it installs the image the others write on; if the log went on without it, it would be
// sent another image, and another, for as long as they write.
type holds struct {
	mu   sync.Mutex        // guards from; innermost
	from map[uint64]uint64 // node to the index of the first image that it was sent since it was near the end
}

// A peer may keep the log while heldCheckpoints of it come and go, and for heldPerNode more entries for each
// node of the tree: the longer an image takes, the more is written meanwhile. Who is slower than that is better
// served with another image.
const (
	heldCheckpoints = 10
	heldPerNode     = 4
)

func (h *holds) begin(node, index uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.from == nil {
		h.from = map[uint64]uint64{}
	}
	if _, held := h.from[node]; !held {
		// The first of several counts: when it is installed the peer says so, and goes on from there. So it
		// does if only the word that it has arrived was lost.
		h.from[node] = index
	}
}

// limit returns up to where the log may be let go: below, or less if a peer that was sent an image is
// further behind the end than retain. It forgets who is near, no member, or more than most entries behind;
// who is silent may be busy with the image.
func (h *holds) limit(below uint64, now replica.Status, retain, most uint64) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	for node, index := range h.from {
		p, member := now.Progress[node]
		at := max(index, p.Match)
		switch {
		case !member, p.Match >= index && at+retain >= now.LastIndex, at+most < now.LastIndex:
			delete(h.from, node)
		default:
			below = min(below, at)
		}
	}
	return below
}
