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
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
}

// New returns an empty group, and the context its members must obey: it ends when parent does, when
// Stop is called, or when a member returns an error.
func New(parent context.Context) (*Group, context.Context) {
	ctx, cancel := context.WithCancelCause(parent)
	return &Group{ctx: ctx, cancel: cancel}, ctx
}

// errStopped is the cause of an end that was asked for.
var errStopped = errors.New("stopped")

// Go starts f under a name, which appears in the error of Wait if f is the one that fails. A member
// that returns nil leaves the others running.
func (g *Group) Go(name string, f func() error) {
	g.wg.Add(1)
	go func() {
		defer g.wg.Done()
		if err := f(); err != nil && !errors.Is(err, context.Canceled) {
			g.cancel(fmt.Errorf("%s: %w", name, err))
		}
	}()
}

// Stop ends the group's context; Wait then returns nil unless a member had failed before.
func (g *Group) Stop() { g.cancel(errStopped) }

// Wait blocks until every member has returned and gives the first failure, or nil.
func (g *Group) Wait() error {
	g.wg.Wait()
	err := context.Cause(g.ctx)
	g.cancel(errStopped)
	if err == nil || errors.Is(err, errStopped) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
