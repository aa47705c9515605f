package client_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grovekeeper/grove/client"
	"github.com/grovekeeper/grove/client/clienttest"
)

// What one goroutine asks is done in that order, and takes one round trip.
func TestAsyncKeepsTheOrder(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		a := c.Async()
		ctx := t.Context()
		made := a.Create(ctx, "/q", nil)
		var parts []*client.Future[client.Node]
		for i := range 100 {
			parts = append(parts, a.Create(ctx, "/q/", fmt.Append(nil, i), client.Sequential()))
		}
		list := a.Children(ctx, "/q")
		set := a.Set(ctx, "/q", []byte("x"), 0)
		got := a.Get(ctx, "/q")
		multi := a.Multi(ctx, client.OpCheck("/q", 1), client.OpCreate("/r", nil))
		stat := a.Stat(ctx, "/r")
		gone := a.Delete(ctx, "/r", 0)
		sync := a.Sync(ctx, "/")
		must[struct{}](t)(sync.Wait(ctx))
		must[client.Node](t)(made.Result())
		must[[]client.Node](t)(client.WaitAll(ctx, parts...))
		if n := must[client.Children](t)(list.Wait(ctx)); len(n.Names) != 100 {
			t.Errorf("%d children", len(n.Names))
		}
		must[client.Stat](t)(set.Wait(ctx))
		if n := must[client.Node](t)(got.Wait(ctx)); string(n.Data) != "x" {
			t.Errorf("read %q", n.Data)
		}
		if r := must[[]client.OpResult](t)(multi.Wait(ctx)); r[1].Path != "/r" {
			t.Errorf("multi: %+v", r)
		}
		must[client.Stat](t)(stat.Wait(ctx))
		must[struct{}](t)(gone.Wait(ctx))
	})
}

// Failures are told by the future, each with its outcome.
func TestAsyncFailures(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		a := c.Async()
		_, err := a.Get(t.Context(), "nowhere").Wait(t.Context())
		wantErr(t, err, client.NeverSent, client.ErrInvalidPath)
		_, err = a.Get(t.Context(), "/nowhere").Wait(t.Context())
		wantErr(t, err, client.Definite, client.ErrNoNode)
		s.Script(func(r clienttest.Request) clienttest.Action {
			return clienttest.Action{Delay: time.Second}
		})
		ctx, cancel := context.WithCancel(t.Context())
		f := a.Create(ctx, "/a", nil)
		synctest.Wait()
		_, err = f.Wait(after(t, time.Millisecond))
		wantErr(t, err, client.Unknown, context.DeadlineExceeded)
		cancel()
		_, err = f.Wait(t.Context())
		wantErr(t, err, client.Unknown, context.Canceled, client.ErrOutcomeUnknown)
		_, err = client.WaitAll(t.Context(), f, a.Create(t.Context(), "/b", nil))
		wantErr(t, err, client.Unknown, context.Canceled)
		s.Script(nil)
		s.Down(true)
		synctest.Wait()
		ctx, cancel = context.WithCancel(t.Context())
		f = a.Create(ctx, "/c", nil)
		cancel()
		_, err = f.Wait(t.Context())
		wantErr(t, err, client.NeverSent, context.Canceled)
		s.Down(false)
		if err := c.Sync(t.Context(), "/"); err != nil {
			t.Error(err)
		}
		if _, ok := s.Data("/c"); ok {
			t.Error("sent nevertheless")
		}
	})
}

// A cut among many leaves an order in which what was answered comes before what was not.
func TestAsyncOverACut(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		s.Script(func(r clienttest.Request) clienttest.Action {
			if r.Path == "/50" && r.Attempt == 0 {
				return clienttest.Action{Cut: clienttest.Before}
			}
			return clienttest.Action{}
		})
		var made []*client.Future[client.Node]
		var read []*client.Future[client.Children]
		for i := range 100 {
			made = append(made, c.Async().Create(t.Context(), fmt.Sprintf("/%02d", i), nil))
			read = append(read, c.Async().Children(t.Context(), "/"))
		}
		lost := 0
		for i, f := range made {
			_, err := f.Wait(t.Context())
			switch {
			case err == nil && i < 50 && lost > 0:
				t.Errorf("%d was answered after the answer before it was lost", i)
			case err != nil:
				wantErr(t, err, client.Unknown, client.ErrConnectionLost)
				lost++
			}
		}
		for i, f := range read {
			list := must[client.Children](t)(f.Wait(t.Context()))
			if _, err := made[i].Result(); err == nil && !slices.Contains(list.Names, fmt.Sprintf("%02d", i)) {
				t.Errorf("list %d is without what was created before it", i)
			}
		}
	})
}
