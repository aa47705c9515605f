package znode

import (
	"encoding/binary"
	"slices"
)

// fence holds the separators of a branch: child i has the keys from separator i-1, inclusive,
// to separator i. A fence is never written; branches that differ in their children share it.
//
// All separators begin with prefix. The eight bytes after it, as an integer, order most of
// them without a look at the separators themselves.
type fence struct {
	prefix string
	heads  []uint64
	seps   []string
}

func newFence(seps []string) *fence {
	f := &fence{seps: seps}
	if len(seps) == 0 {
		return f
	}
	first, last := seps[0], seps[len(seps)-1]
	f.prefix = first[:shared(first, last)]
	f.heads = make([]uint64, len(seps))
	for i, s := range seps {
		f.heads[i] = head([]byte(s[len(f.prefix):]))
	}
	return f
}

// head returns the first eight bytes of b as an integer, as if NULs followed b. If the heads of
// two strings differ, they order the strings; if not, the strings may differ all the same.
func head(b []byte) uint64 {
	if len(b) >= 8 {
		return binary.BigEndian.Uint64(b)
	}
	var h uint64
	for _, c := range b {
		h = h<<8 | uint64(c)
	}
	return h << (8 * (8 - len(b)))
}

// shared returns the length of the longest common prefix.
func shared(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// find returns the child that key belongs to: the number of separators not after key.
func (f *fence) find(key []byte) int {
	p := f.prefix
	if len(key) < len(p) || string(key[:len(p)]) != p {
		if string(key) < p {
			return 0
		}
		return len(f.seps)
	}
	h := head(key[len(p):])
	low, high := 0, len(f.heads)
	for low < high {
		mid := int(uint(low+high) / 2)
		if f.heads[mid] < h {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low == len(f.heads) || f.heads[low] != h {
		return low
	}
	return f.among(low, key)
}

// among decides between separators with the head of key, the first of which is at low.
func (f *fence) among(low int, key []byte) int {
	h, high := f.heads[low], len(f.heads)
	for low < high {
		mid := int(uint(low+high) / 2)
		if f.heads[mid] == h && f.seps[mid] <= string(key) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// with returns the fence with sep added as separator i.
func (f *fence) with(i int, sep string) *fence {
	seps := make([]string, 0, len(f.seps)+1)
	seps = append(append(append(seps, f.seps[:i]...), sep), f.seps[i:]...)
	return newFence(seps)
}

// without returns the fence less separator i.
func (f *fence) without(i int) *fence {
	return newFence(slices.Delete(slices.Clone(f.seps), i, i+1))
}

// separator returns the shortest string after the key of a and not after the key of b, its
// neighbour. Short ones make long common prefixes rarer and fences smaller.
func separator(a, b *Node) string {
	left := string(keyOf(a.Path(), nil).flat)
	right := string(keyOf(b.Path(), nil).flat)
	return right[:shared(left, right)+1]
}
