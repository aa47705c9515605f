package znode

import "github.com/google/btree"

// sorted is a small ordered set that clones in constant time. Most servers have no quotas and
// few containers: an empty set costs nothing, not even when it is cloned.
type sorted[T any] struct {
	less btree.LessFunc[T]
	tree *btree.BTreeG[T] // nil while empty
}

const sortedDegree = 32

func (s *sorted[T]) clone() sorted[T] {
	if s.tree == nil {
		return *s
	}
	return sorted[T]{s.less, s.tree.Clone()}
}

func (s *sorted[T]) len() int {
	if s.tree == nil {
		return 0
	}
	return s.tree.Len()
}

func (s *sorted[T]) has(v T) bool { return s.tree != nil && s.tree.Has(v) }

func (s *sorted[T]) add(v T) {
	if s.tree == nil {
		s.tree = btree.NewG(sortedDegree, s.less)
	}
	s.tree.ReplaceOrInsert(v)
}

func (s *sorted[T]) remove(v T) {
	if s.tree == nil {
		return
	}
	if s.tree.Delete(v); s.tree.Len() == 0 {
		s.tree = nil
	}
}

// from yields the values that do not sort before v.
func (s *sorted[T]) from(v T, yield func(T) bool) {
	if s.tree != nil {
		s.tree.AscendGreaterOrEqual(v, yield)
	}
}
