package replica

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Whoever listens is told of every change of leader, when Status shows it already.
func TestOnSoft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r *Replica
		var told []Soft
		start := Bootstrap(1)
		r, err := Open(Config{
			ID: 1, Log: newMemLog(start), Start: start, Applier: &recorder{base: 1},
			OnSoft: func(s Soft) {
				if now := r.Status(); now.Role != s.Role || now.Leader != s.Leader || now.Term != s.Term {
					t.Errorf("told %+v, status %+v", s, now)
				}
				told = append(told, s)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Run(ctx); err != nil {
			t.Fatal(err)
		}
		want := []Soft{
			{Term: 1, Role: PreCandidate}, {Term: 2, Role: Candidate}, {Leader: 1, Term: 2, Role: Leader},
		}
		if !slices.Equal(told, want) {
			t.Errorf("told %+v", told)
		}
	})
}
