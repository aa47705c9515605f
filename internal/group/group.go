// Package group runs named goroutines that live and die together: the first one that fails ends the
// others, and whoever started the group waits for all of them. No goroutine of the server is started
// outside of one.
package group

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Group is a set of goroutines with one context. The zero value is not usable: see New.
type Group struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
	once   sync.Once // guards err until Wait returns
	err    error     // the first failure
}

// New returns an empty group, and the context its members must obey: it ends when parent does, when
// Stop is called, or when a member returns an error.
func New(parent context.Context) (*Group, context.Context) {
	ctx, cancel := context.WithCancel(parent)
	return &Group{cancel: cancel}, ctx
}

// Go starts f under a name, which appears in the error of Wait if f is the one that fails. A member
// that returns nil, or only that the context has ended, leaves the others running.
func (g *Group) Go(name string, f func() error) {
	g.wg.Add(1)
	go func() {
		defer g.wg.Done()
		if err := f(); err != nil && !errors.Is(err, context.Canceled) {
			g.once.Do(func() { g.err = fmt.Errorf("%s: %w", name, err) })
			g.cancel()
		}
	}()
}

// Stop ends the group's context, which is no failure.
func (g *Group) Stop() { g.cancel() }

// Wait blocks until every member has returned and gives the first failure, or nil.
func (g *Group) Wait() error {
	g.wg.Wait()
	g.cancel()
	return g.err
}
