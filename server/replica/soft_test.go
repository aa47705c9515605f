package replica

import (
	"slices"
	"testing"
	"testing/synctest"
)

// Whoever listens is told of every change of leader, when Status shows it already.
func TestOnSoft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r *running
		var told []Soft
		r = begin(t, Config{OnSoft: func(s Soft) {
			if now := r.Status(); now.Role != s.Role || now.Leader != s.Leader || now.Term != s.Term {
				t.Errorf("told %+v, status %+v", s, now)
			}
			told = append(told, s)
		}})
		synctest.Wait()
		r.end()
		want := []Soft{
			{Term: 1, Role: PreCandidate}, {Term: 2, Role: Candidate}, {Leader: 1, Term: 2, Role: Leader},
		}
		if !slices.Equal(told, want) {
			t.Errorf("told %+v", told)
		}
	})
}
