package group_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/grovekeeper/grove/internal/group"
)

func TestTheFirstFailureEndsTheOthersAndIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, ctx := group.New(t.Context())
		boom := errors.New("boom")
		g.Go("quiet", func() error { <-ctx.Done(); return ctx.Err() })
		g.Go("loud", func() error { return boom })
		err := g.Wait()
		if !errors.Is(err, boom) || !strings.HasPrefix(err.Error(), "loud: ") {
			t.Fatalf("Wait = %v, want the failure of loud", err)
		}
	})
}

func TestStopIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, ctx := group.New(context.Background())
		g.Go("loop", func() error { <-ctx.Done(); return nil })
		synctest.Wait()
		g.Stop()
		if err := g.Wait(); err != nil {
			t.Fatalf("Wait = %v after Stop, want nil", err)
		}
	})
}

func TestAFailureOfTheEndIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		g, ctx := group.New(parent)
		late := errors.New("could not write the last of it")
		g.Go("keeper", func() error { <-ctx.Done(); return late })
		cancel()
		if err := g.Wait(); !errors.Is(err, late) {
			t.Fatalf("Wait = %v, want %v", err, late)
		}
	})
}
