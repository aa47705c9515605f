package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grovekeeper/grove/client"
	"github.com/grovekeeper/grove/client/clienttest"
)

// watched makes one watch of each kind there is for once, on nodes that are there and one that is not.
func watched(t *testing.T, c *client.Client) map[string]*client.Watch {
	t.Helper()
	for _, path := range []string{"/data", "/stat", "/list"} {
		must[client.Node](t)(c.Create(t.Context(), path, nil))
	}
	all := map[string]*client.Watch{}
	var err [4]error
	_, all["data"], err[0] = c.GetW(t.Context(), "/data")
	_, all["stat"], err[1] = c.StatW(t.Context(), "/stat")
	_, all["list"], err[2] = c.ChildrenW(t.Context(), "/list")
	_, all["none"], err[3] = c.StatW(t.Context(), "/none")
	if e := errors.Join(err[:3]...); e != nil {
		t.Fatal(e)
	}
	wantErr(t, err[3], client.Definite, client.ErrNoNode)
	return all
}

// change fires all watches of watched.
func change(t *testing.T, c *client.Client) {
	t.Helper()
	must[client.Stat](t)(c.Set(t.Context(), "/data", nil, client.AnyVersion))
	if err := c.Delete(t.Context(), "/stat", client.AnyVersion); err != nil {
		t.Fatal(err)
	}
	must[client.Node](t)(c.Create(t.Context(), "/list/x", nil))
	must[client.Node](t)(c.Create(t.Context(), "/none", nil))
}

var fired = map[string]client.Event{
	"data": {Type: client.NodeDataChanged, Path: "/data"},
	"stat": {Type: client.NodeDeleted, Path: "/stat"},
	"list": {Type: client.NodeChildrenChanged, Path: "/list"},
	"none": {Type: client.NodeCreated, Path: "/none"},
}

func wantFired(t *testing.T, all map[string]*client.Watch) {
	t.Helper()
	for name, w := range all {
		e, err := w.Wait(after(t, time.Minute))
		e.Zxid = 0
		if err != nil || e != fired[name] {
			t.Errorf("%s: event %+v, error %v", name, e, err)
		}
	}
}

func TestWatchesFireOnce(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		all := watched(t, c)
		synctest.Wait()
		for name, w := range all {
			select {
			case <-w.Done():
				t.Errorf("%s fired before anything happened", name)
			default:
			}
		}
		change(t, c)
		for name, w := range all { // our own changes were answered, so the events are here
			select {
			case <-w.Done():
			default:
				t.Errorf("%s: a change was answered before its event", name)
			}
		}
		wantFired(t, all)
		if n := s.Watches(); n != 0 {
			t.Errorf("%d watches left", n)
		}
	})
}

// What happens while there is no connection is told on the next one, and what does not happen is still
// watched for.
func TestWatchesOutliveConnections(t *testing.T) {
	for _, missed := range []bool{true, false} {
		scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
			all := watched(t, c)
			other := dial(t, s)
			defer other.Close(t.Context())
			cut := func() {
				for range 3 {
					s.Script(func(r clienttest.Request) clienttest.Action {
						if r.Session == int64(c.Session().ID) {
							return clienttest.Action{Cut: clienttest.Before}
						}
						return clienttest.Action{}
					})
					c.Get(after(t, time.Second), "/data")
				}
			}
			cut()
			if missed {
				change(t, other)
			}
			s.Script(nil)
			if err := c.Sync(t.Context(), "/"); err != nil {
				t.Fatal(err)
			}
			if !missed {
				if n := s.Watches(); n != 4 {
					t.Errorf("%d watches after the connection was lost", n)
				}
				change(t, other)
			}
			wantFired(t, all)
		})
	}
}

func TestWatchesEndWithTheirSession(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		all := watched(t, c)
		s.Expire(int64(c.Session().ID))
		for name, w := range all {
			if _, err := w.Wait(t.Context()); !errors.Is(err, client.ErrSessionExpired) {
				t.Errorf("%s ends with %v", name, err)
			}
		}
		_, w, err := c.GetW(t.Context(), "/data")
		if err != nil {
			t.Fatal(err)
		}
		c.Close(t.Context())
		if _, err := w.Event(); !errors.Is(err, client.ErrClosed) {
			t.Errorf("ends with %v", err)
		}
	})
}

// A watch that is given up is given back, once nobody needs it; also if it was given up before it was
// armed.
func TestWatchesAreGivenBack(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		all := watched(t, c)
		_, second, err := c.GetW(t.Context(), "/data")
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range all {
			w.Cancel()
			w.Cancel()
			if _, err := w.Event(); err != client.ErrWatchCancelled {
				t.Error(err)
			}
		}
		synctest.Wait()
		if n := s.Watches(); n != 1 {
			t.Errorf("%d watches left, one is needed", n)
		}
		second.Cancel()
		synctest.Wait()
		if n := s.Watches(); n != 0 {
			t.Errorf("%d watches left", n)
		}
		s.Script(func(clienttest.Request) clienttest.Action { return clienttest.Action{Delay: time.Second} })
		_, _, err = c.GetW(after(t, 100*time.Millisecond), "/data")
		wantErr(t, err, client.Definite, context.DeadlineExceeded)
		time.Sleep(5 * time.Second)
		if n := s.Watches(); n != 0 {
			t.Errorf("%d watches of nobody", n)
		}
	})
}

// Watches beyond what one packet should carry are armed again in several.
func TestManyWatchesAreArmedAgainInBatches(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		long := "/" + strings.Repeat("x", 10_000)
		var all []*client.Watch
		for i := range 100 {
			_, w, _ := c.StatW(t.Context(), fmt.Sprint(long, i))
			all = append(all, w)
		}
		sets := 0
		s.Script(func(r clienttest.Request) clienttest.Action {
			if r.Op == "setWatches" {
				sets++
			}
			return clienttest.Action{}
		})
		s.Cut()
		if err := c.Sync(t.Context(), "/"); err != nil {
			t.Fatal(err)
		}
		if sets < 7 || sets > 9 || s.Watches() != 100 {
			t.Errorf("%d watches in %d requests", s.Watches(), sets)
		}
		for _, w := range all {
			w.Cancel()
		}
	})
}

// A server that does not arm again what it is asked to ends the watch: nobody waits for nothing.
func TestWatchesThatCannotBeArmedAgainEnd(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		all := watched(t, c)
		sub := must[*client.Subscription](t)(c.Subscribe(t.Context(), "/"))
		s.Script(func(r clienttest.Request) clienttest.Action {
			if r.Op == "setWatches2" {
				return clienttest.Action{Err: int32(client.ErrMarshalling)}
			}
			return clienttest.Action{}
		})
		s.Cut()
		for name, w := range all {
			if _, err := w.Wait(t.Context()); !errors.Is(err, client.ErrMarshalling) {
				t.Errorf("%s ends with %v", name, err)
			}
		}
		if _, err := sub.Next(t.Context()); !errors.Is(err, client.ErrMarshalling) {
			t.Errorf("the subscription ends with %v", err)
		}
	})
}

func take(t *testing.T, s *client.Subscription, n int) []string {
	t.Helper()
	var list []string
	for range n {
		e, err := s.Next(after(t, time.Minute))
		if err != nil {
			t.Fatalf("after %v: %v", list, err)
		}
		list = append(list, e.Type.String()+" "+e.Path)
	}
	return list
}

func TestSubscriptions(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		node := must[*client.Subscription](t)(c.Subscribe(t.Context(), "/a"))
		tree := must[*client.Subscription](t)(c.Subscribe(t.Context(), "/", client.Recursive()))
		ctx := t.Context()
		must[client.Node](t)(c.Create(ctx, "/a", nil))
		must[client.Node](t)(c.Create(ctx, "/a/b", nil))
		must[client.Stat](t)(c.Set(ctx, "/a/b", nil, 0))
		s.Cut()
		if err := c.Delete(ctx, "/a/b", client.AnyVersion); err != nil {
			t.Fatal(err)
		}
		want := []string{"created /a", "children changed /a", "resync /a", "children changed /a"}
		if got := take(t, node, len(want)); !slices.Equal(got, want) {
			t.Errorf("node: %q", got)
		}
		want = []string{"created /a", "created /a/b", "data changed /a/b", "resync /", "deleted /a/b"}
		if got := take(t, tree, len(want)); !slices.Equal(got, want) {
			t.Errorf("tree: %q", got)
		}
		s.Expire(int64(c.Session().ID))
		if got := take(t, tree, 1); got[0] != "resync /" {
			t.Errorf("tree: %q", got)
		}
		must[client.Node](t)(c.Create(ctx, "/c", nil))
		if got := take(t, tree, 1); got[0] != "created /c" {
			t.Errorf("tree: %q", got)
		}
		tree.Close()
		if _, err := tree.Next(ctx); err != client.ErrUnsubscribed {
			t.Error(err)
		}
		synctest.Wait()
		if n := s.Watches(); n != 1 {
			t.Errorf("%d watches left, want that of the node", n)
		}
		node.Close()
	})
}

func TestSubscriptionsEndWithTheirContext(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		sub := must[*client.Subscription](t)(c.Subscribe(ctx, "/"))
		cancel()
		for e, err := range sub.Events() {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%+v, %v", e, err)
			}
		}
		synctest.Wait()
		if n := s.Watches(); n != 0 {
			t.Errorf("%d watches left", n)
		}
	})
}

func TestSlowSubscribers(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		resync := must[*client.Subscription](t)(c.Subscribe(t.Context(), "/", client.Recursive(), client.Buffer(3)))
		defer resync.Close()
		fail := must[*client.Subscription](t)(c.Subscribe(t.Context(), "/", client.Recursive(), client.Buffer(3),
			client.OnOverflow(client.FailStream)))
		defer fail.Close()
		for i := range 5 {
			must[client.Node](t)(c.Create(t.Context(), fmt.Sprint("/", i), nil))
		}
		if got := take(t, resync, 2); !slices.Equal(got, []string{"resync /", "created /4"}) {
			t.Errorf("%q", got)
		}
		if got := resync.Stats(); got != (client.SubStats{Delivered: 2, Dropped: 3, Resyncs: 1}) {
			t.Errorf("%+v", got)
		}
		take(t, fail, 3)
		if _, err := fail.Next(t.Context()); err != client.ErrSlowConsumer {
			t.Error(err)
		}
	})
}

func TestFollow(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		steps := []func(){
			func() { must[client.Node](t)(c.Create(t.Context(), "/f", []byte("1"))) },
			func() { must[client.Stat](t)(c.Set(t.Context(), "/f", []byte("2"), 0)) },
			func() { s.Cut(); must[client.Stat](t)(c.Set(t.Context(), "/f", []byte("3"), 1)) },
			func() {
				s.Expire(int64(c.Session().ID))
				must[client.Stat](t)(c.Set(t.Context(), "/f", []byte("4"), 2))
			},
			func() { c.Delete(t.Context(), "/f", client.AnyVersion) },
			func() {},
		}
		var seen []string
		for n, err := range c.Follow(t.Context(), "/f") {
			if err != nil {
				t.Fatal(err)
			}
			seen = append(seen, string(n.Data))
			if len(seen) == len(steps) {
				break
			}
			steps[len(seen)-1]()
		}
		if want := []string{"", "1", "2", "3", "4", ""}; !slices.Equal(seen, want) {
			t.Errorf("seen %q", seen)
		}
		synctest.Wait()
		if n := s.Watches(); n != 0 {
			t.Errorf("%d watches left", n)
		}
	})
}

func TestFollowChildren(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var seen []string
		for l, err := range c.FollowChildren(ctx, "/f") {
			if err != nil {
				wantErr(t, err, client.Definite, context.Canceled)
				break
			}
			seen = append(seen, fmt.Sprint(l.Stat.Czxid != 0, l.Names))
			switch len(seen) {
			case 1:
				must[client.Node](t)(c.Create(ctx, "/f", nil))
			case 2:
				must[client.Node](t)(c.Create(ctx, "/f/x", nil))
			case 3:
				cancel()
			}
		}
		if want := []string{"false []", "true []", "true [x]"}; !slices.Equal(seen, want) {
			t.Errorf("seen %q", seen)
		}
	})
}
