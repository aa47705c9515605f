package watch

// tally counts pairs by what they can hear, so that Fire looks only where somebody listens.
type tally struct {
	pairs   int
	node    int           // pairs that hear of their own path alone
	child   int           // pairs that hear of the children of their path
	below   int           // pairs that hear of their path and all below it
	belowAt [depths]int32 // those, by the depth of the path; the last counts all deeper ones too
}

const (
	depths    = 32
	hearNode  = Data | Child | Persistent
	hearChild = Child | Persistent
)

// move counts that the kinds of one pair on the path, from prior, became next. A pair without
// kinds is none.
func (y *tally) move(path string, prior, next Kind) {
	y.pairs += has(next, All) - has(prior, All)
	y.node += has(next, hearNode) - has(prior, hearNode)
	y.child += has(next, hearChild) - has(prior, hearChild)
	if d := has(next, Recursive) - has(prior, Recursive); d != 0 {
		y.below += d
		y.belowAt[min(depth(path), depths-1)] += int32(d)
	}
}

// has is 1 if any of mask is in k, else 0.
func has(k, mask Kind) int {
	if k&mask != 0 {
		return 1
	}
	return 0
}

// depth is the number of steps from the root down to the path: 0 for "/", 2 for "/a/b".
func depth(path string) int {
	n := 0
	for i := 1; i < len(path); i++ {
		if path[i-1] == '/' {
			n++
		}
	}
	return n
}
