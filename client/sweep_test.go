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

// sweep is one run of everything a client does, under one fault.
type sweep struct {
	t     *testing.T
	s     *clienttest.Server
	c     *client.Client // whose connection breaks
	other *client.Client // whose does not
	fault string
}

func (w *sweep) errorf(format string, args ...any) {
	w.t.Helper()
	w.t.Errorf("%s: %s", w.fault, fmt.Sprintf(format, args...))
}

// judge compares what an operation came to with what the server has: run tells whether it took effect.
func (w *sweep) judge(name string, err error, run bool, fine ...error) {
	w.t.Helper()
	for _, target := range fine {
		if errors.Is(err, target) {
			return
		}
	}
	switch outcome := client.OutcomeOf(err); {
	case err == nil && !run:
		w.errorf("%s succeeded and took no effect", name)
	case err != nil && outcome != client.Unknown:
		w.errorf("%s: %v is %v, and nothing was to prevent it", name, err, outcome)
	case err != nil && !errors.Is(err, client.ErrOutcomeUnknown):
		w.errorf("%s: %v", name, err)
	}
}

func (w *sweep) has(path string) bool { _, ok := w.s.Data(path); return ok }
func (w *sweep) data(path string) string {
	data, _ := w.s.Data(path)
	return string(data)
}

// writes are those whose outcome may be unknown, and those that may not.
func (w *sweep) writes(ctx context.Context) {
	_, err := w.c.Create(ctx, "/new", nil)
	w.judge("create", err, w.has("/new"))
	_, err = w.c.Set(ctx, "/set", []byte("x"), 0)
	w.judge("set", err, w.data("/set") == "x")
	err = w.c.Delete(ctx, "/delete", 0)
	w.judge("delete", err, !w.has("/delete"))
	_, err = w.c.Multi(ctx, client.OpCreate("/m1", nil), client.OpCreate("/m2", nil))
	w.judge("multi", err, w.has("/m1"))
	if w.has("/m1") != w.has("/m2") {
		w.errorf("half a multi")
	}
	_, err = w.c.Create(ctx, "/set", nil)
	if !errors.Is(err, client.ErrNodeExists) && client.OutcomeOf(err) != client.Unknown {
		w.errorf("create what exists: %v", err)
	}
}

// certain are the operations that must succeed, whatever happens to one connection.
func (w *sweep) certain(ctx context.Context) {
	_, err := w.c.Set(ctx, "/idempotent", []byte("x"), 0, client.Idempotent())
	if err != nil || w.data("/idempotent") != "x" {
		w.errorf("idempotent set: %v", err)
	}
	if err := w.c.Delete(ctx, "/gone", client.AnyVersion, client.Idempotent()); err != nil || w.has("/gone") {
		w.errorf("idempotent delete: %v", err)
	}
	n, err := w.c.Create(ctx, "/e", nil, client.Ephemeral())
	if err != nil || n.Stat.EphemeralOwner != w.c.Session().ID || !w.has("/e") {
		w.errorf("ephemeral create: %+v, %v", n, err)
	}
	if _, err := w.c.Get(ctx, "/set"); err != nil {
		w.errorf("get: %v", err)
	}
	if err := w.c.Sync(ctx, "/"); err != nil {
		w.errorf("sync: %v", err)
	}
}

// queue makes protected nodes without waiting, and lists them behind.
func (w *sweep) queue(ctx context.Context) {
	var made []*client.Future[client.Node]
	for i := range 4 {
		made = append(made, w.c.Async().Create(ctx, "/q/n-", fmt.Append(nil, i), client.Sequential(), client.Protected()))
	}
	list := w.c.Async().Children(ctx, "/q")
	nodes, err := client.WaitAll(ctx, made...)
	if err != nil {
		w.errorf("protected creates: %v", err)
	}
	names, err := list.Wait(ctx)
	if err != nil || len(names.Names) != 4 || len(w.s.Children("/q")) != 4 {
		w.errorf("made %d of 4, listed %v, %v", len(w.s.Children("/q")), names.Names, err)
	}
	for i, n := range nodes {
		if w.data(n.Path) != fmt.Sprint(i) || !strings.HasSuffix(n.Path, fmt.Sprintf("n-%010d", i)) {
			w.errorf("node %d is %s with %q", i, n.Path, w.data(n.Path))
		}
	}
}

// watches must be told of what somebody else does.
func (w *sweep) watches(ctx context.Context) {
	_, get, err1 := w.c.GetW(ctx, "/watched")
	_, list, err2 := w.c.ChildrenW(ctx, "/watched")
	_, stat, err3 := w.c.StatW(ctx, "/missing")
	if err1 != nil || err2 != nil || !errors.Is(err3, client.ErrNoNode) {
		w.errorf("watching: %v, %v, %v", err1, err2, err3)
		return
	}
	tree, err := w.c.Subscribe(ctx, "/watched", client.Recursive())
	if err != nil {
		w.errorf("subscribe: %v", err)
		return
	}
	defer tree.Close()
	must[client.Stat](w.t)(w.other.Set(w.t.Context(), "/watched", nil, 0))
	must[client.Node](w.t)(w.other.Create(w.t.Context(), "/watched/x", nil))
	must[client.Node](w.t)(w.other.Create(w.t.Context(), "/missing", nil))
	for name, watch := range map[string]*client.Watch{"get": get, "children": list, "stat": stat} {
		if _, err := watch.Wait(ctx); err != nil {
			w.errorf("watch of %s: %v", name, err)
		}
	}
	seen := []client.EventType{}
	for !slices.Contains(seen, client.NodeCreated) && !slices.Contains(seen, client.Resync) {
		e, err := tree.Next(ctx)
		if err != nil {
			w.errorf("subscription: %v after %v", err, seen)
			return
		}
		seen = append(seen, e.Type)
	}
}

// run does it all with the fault that decide makes, and returns how many frames there were.
func run(t *testing.T, fault string, decide func(clienttest.Frame) clienttest.Fault) (frames int) {
	synctest.Test(t, func(t *testing.T) {
		s := clienttest.NewServer()
		defer s.Close()
		other := dial(t, s)
		defer other.Close(t.Context())
		for _, path := range []string{"/set", "/delete", "/idempotent", "/gone", "/q", "/watched"} {
			must[client.Node](t)(other.Create(t.Context(), path, nil))
		}
		f := clienttest.NewFaults(s.Dial, decide)
		c, err := client.Dial(t.Context(), "a,b", client.WithDialer(f.Dial), client.WithAuth(client.Digest("u", "p")))
		if err != nil {
			t.Fatal(err)
		}
		w := &sweep{t: t, s: s, c: c, other: other, fault: fault}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		w.watches(ctx)
		w.writes(ctx)
		w.certain(ctx)
		w.queue(ctx)
		if c.Session().Incarnation != 1 {
			w.errorf("the session was lost")
		}
		if err := c.Close(ctx); err != nil {
			w.errorf("close: %v", err)
		}
		if len(s.Sessions()) > 1 {
			time.Sleep(11 * time.Second) // one that was opened and never heard of ends by itself
		}
		if n := len(s.Sessions()); n != 1 {
			w.errorf("%d sessions are left, want one", n)
		}
		if w.has("/e") {
			w.errorf("an ephemeral node outlived its session")
		}
		frames = f.Frames()
	})
	return frames
}

// Every operation ends in the class that is true, no watch is lost, nothing is made twice and no
// session is left, wherever the connection breaks.
func TestSweepOfFaults(t *testing.T) {
	frames := run(t, "no fault", func(clienttest.Frame) clienttest.Fault { return clienttest.Fault{} })
	if frames < 50 {
		t.Fatalf("only %d frames", frames)
	}
	for name, fault := range map[string]clienttest.Fault{
		"cut before": {Cut: clienttest.Before},
		"cut after":  {Cut: clienttest.After},
		"truncate":   {Truncate: true},
		"delay":      {Delay: 8 * time.Second}, // longer than silence is borne with
	} {
		for at := range frames {
			var direction clienttest.Direction
			run(t, fmt.Sprintf("%s frame %d", name, at), func(f clienttest.Frame) clienttest.Fault {
				if f.Index == at {
					direction = f.Direction
					return fault
				}
				return clienttest.Fault{}
			})
			if t.Failed() {
				t.Fatalf("%s frame %d, %v", name, at, direction)
			}
		}
	}
}

// An answer that comes twice is no answer to the next request.
func TestAnswersThatComeTwice(t *testing.T) {
	frames := 60
	for at := range frames {
		run(t, fmt.Sprintf("frame %d from the server comes twice", at), func(f clienttest.Frame) clienttest.Fault {
			return clienttest.Fault{Duplicate: f.Index == at && f.Direction == clienttest.FromServer}
		})
		if t.Failed() {
			return
		}
	}
}
