package client_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grovekeeper/grove/client"
	"github.com/grovekeeper/grove/client/clienttest"
)

// What becomes of a write whose answer was lost before or after it was run.
var lostWrites = []struct {
	name, op      string
	do            func(context.Context, *client.Client) error
	before, after string // "" for success, else the outcome or the code
}{
	{"create", "create2", func(ctx context.Context, c *client.Client) error {
		_, err := c.Create(ctx, "/new", nil)
		return err
	}, "", "unknown"},
	{"create what exists", "create2", func(ctx context.Context, c *client.Client) error {
		_, err := c.Create(ctx, "/a", nil)
		return err
	}, "node exists already", "node exists already"},
	{"create ephemeral", "create2", func(ctx context.Context, c *client.Client) error {
		n, err := c.Create(ctx, "/new", nil, client.Ephemeral())
		if err == nil && (n.Path != "/new" || n.Stat.EphemeralOwner != c.Session().ID || n.Stat.Czxid == 0) {
			return client.ErrProtocol
		}
		return err
	}, "", ""},
	{"create sequential", "create2", func(ctx context.Context, c *client.Client) error {
		_, err := c.Create(ctx, "/a/n-", nil, client.Sequential())
		return err
	}, "", "unknown"},
	{"create protected", "create2", func(ctx context.Context, c *client.Client) error {
		n, err := c.Create(ctx, "/a/n-", []byte("x"), client.Sequential(), client.Protected())
		if err == nil && (!strings.HasPrefix(n.Path, "/a/_c_") || !strings.HasSuffix(n.Path, "-n-0000000001") ||
			n.Stat.Czxid == 0) {
			return client.ErrProtocol
		}
		return err
	}, "", ""},
	{"set", "setData", func(ctx context.Context, c *client.Client) error {
		_, err := c.Set(ctx, "/a", []byte("x"), 0)
		return err
	}, "", "unknown"},
	{"set any", "setData", func(ctx context.Context, c *client.Client) error {
		_, err := c.Set(ctx, "/a", []byte("x"), client.AnyVersion)
		return err
	}, "", "unknown"},
	{"set idempotent", "setData", func(ctx context.Context, c *client.Client) error {
		st, err := c.Set(ctx, "/a", []byte("x"), 0, client.Idempotent())
		if err == nil && st.Version != 1 {
			return client.ErrProtocol
		}
		return err
	}, "", ""},
	{"set any idempotent", "setData", func(ctx context.Context, c *client.Client) error {
		_, err := c.Set(ctx, "/a", []byte("x"), client.AnyVersion, client.Idempotent())
		return err
	}, "", ""},
	{"set another version", "setData", func(ctx context.Context, c *client.Client) error {
		_, err := c.Set(ctx, "/a", []byte("x"), 7)
		return err
	}, "version does not match", "version does not match"},
	{"set what is missing", "setData", func(ctx context.Context, c *client.Client) error {
		_, err := c.Set(ctx, "/none", []byte("x"), 7)
		return err
	}, "node does not exist", "node does not exist"},
	{"delete", "delete", func(ctx context.Context, c *client.Client) error {
		return c.Delete(ctx, "/a/b", 0)
	}, "", "unknown"},
	{"delete idempotent", "delete", func(ctx context.Context, c *client.Client) error {
		return c.Delete(ctx, "/a/b", 0, client.Idempotent())
	}, "", ""},
	{"delete what has children", "delete", func(ctx context.Context, c *client.Client) error {
		return c.Delete(ctx, "/a", 0)
	}, "node has children", "node has children"},
	{"multi", "multi", func(ctx context.Context, c *client.Client) error {
		_, err := c.Multi(ctx, client.OpSet("/a", nil, 0))
		return err
	}, "unknown", "unknown"},
}

func TestLostWrites(t *testing.T) {
	for _, test := range lostWrites {
		for where, want := range map[clienttest.Where]string{clienttest.Before: test.before, clienttest.After: test.after} {
			t.Run(test.name+[]string{"", " before", " after"}[where], func(t *testing.T) {
				scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
					must[client.Node](t)(c.Create(t.Context(), "/a", nil))
					must[client.Node](t)(c.Create(t.Context(), "/a/b", nil))
					s.Script(on(test.op, where))
					err := test.do(t.Context(), c)
					switch {
					case err == nil && want == "":
					case want == "" || err == nil:
						t.Errorf("error %v, want %q", err, want)
					case want == "unknown":
						wantErr(t, err, client.Unknown, client.ErrOutcomeUnknown, client.ErrConnectionLost)
					default:
						wantErr(t, err, client.Definite)
						if !strings.Contains(err.Error(), want) {
							t.Errorf("error %v, want %q", err, want)
						}
					}
					if n := len(s.Children("/a")); n > 2 {
						t.Errorf("made twice: %v", s.Children("/a"))
					}
				})
			})
		}
	}
}

// What is sent behind a write in doubt waits until that is decided, and sees it.
func TestOrderOverADoubt(t *testing.T) {
	for _, where := range []clienttest.Where{clienttest.Before, clienttest.After} {
		scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
			must[client.Node](t)(c.Create(t.Context(), "/q", nil))
			s.Script(on("create2", where))
			var made []*client.Future[client.Node]
			for range 10 {
				made = append(made, c.Async().Create(t.Context(), "/q/n-", nil, client.Sequential(), client.Protected()))
			}
			list := c.Async().Children(t.Context(), "/q")
			nodes := must[[]client.Node](t)(client.WaitAll(t.Context(), made...))
			if l := must[client.Children](t)(list.Wait(t.Context())); len(l.Names) != 10 {
				t.Errorf("seen behind ten creates: %v", l.Names)
			}
			var order []string
			for _, n := range nodes {
				order = append(order, n.Path[len(n.Path)-10:])
			}
			if !slices.IsSorted(order) {
				t.Errorf("made in another order: %v", order)
			}
		})
	}
}

// A doubt outlives the connections on which it was to be decided, and the session.
func TestDoubtsOutliveConnectionsAndSessions(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		cuts := 0
		s.Script(func(r clienttest.Request) clienttest.Action {
			if r.Op == "create2" && r.Attempt == 0 || (r.Op == "sync" || r.Op == "getChildren2") && cuts < 6 {
				cuts++
				return clienttest.Action{Cut: clienttest.After}
			}
			return clienttest.Action{}
		})
		must[client.Node](t)(c.Create(t.Context(), "/p-", nil, client.Protected(), client.Sequential()))
		if l := s.Children("/"); len(l) != 1 || cuts != 6 {
			t.Errorf("made %v after %d cuts", l, cuts)
		}
	})
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		id := int64(c.Session().ID)
		s.Script(func(r clienttest.Request) clienttest.Action {
			if r.Op == "connect" && r.Session == id {
				return clienttest.Action{Do: func() { s.Expire(id) }}
			}
			return on("create2", clienttest.After)(r)
		})
		n := must[client.Node](t)(c.Create(t.Context(), "/e", nil, client.Ephemeral()))
		if now := c.Session(); n.Stat.EphemeralOwner != now.ID || now.Incarnation != 2 {
			t.Errorf("made %+v in session %+v", n, now)
		}
	})
}

// A protected node for which nobody waits any more is deleted, whatever happens to connections.
func TestProtectedNodesAreNotLeftBehind(t *testing.T) {
	for name, script := range map[string]func(clienttest.Request) clienttest.Action{
		"late answer": func(r clienttest.Request) clienttest.Action {
			if r.Op == "create2" {
				return clienttest.Action{Delay: 2 * time.Second}
			}
			return clienttest.Action{}
		},
		"lost answer": func(r clienttest.Request) clienttest.Action {
			if r.Op == "create2" {
				return clienttest.Action{Delay: 2 * time.Second, Cut: clienttest.After}
			}
			return on("delete", clienttest.After)(r)
		},
		"slow look": func(r clienttest.Request) clienttest.Action {
			if r.Op == "create2" {
				return clienttest.Action{Cut: clienttest.After}
			}
			if r.Op == "sync" {
				return clienttest.Action{Delay: 2 * time.Second}
			}
			return clienttest.Action{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
				s.Script(script)
				_, err := c.Create(after(t, time.Second), "/p-", nil, client.Protected(), client.Sequential())
				wantErr(t, err, client.Unknown, context.DeadlineExceeded)
				time.Sleep(8 * time.Second)
				synctest.Wait()
				if l := s.Children("/"); len(l) != 0 {
					t.Errorf("left behind: %v", l)
				}
			})
		})
	}
}

// Somebody else's change is not taken for ours.
func TestDoubtsAreNotDecidedByOthers(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		other := dial(t, s)
		defer other.Close(t.Context())
		must[client.Node](t)(c.Create(t.Context(), "/a", nil))
		mine := int64(c.Session().ID)
		s.Script(func(r clienttest.Request) clienttest.Action {
			if r.Op == "setData" && r.Session == mine {
				return clienttest.Action{Cut: clienttest.Before, Do: func() {
					other.Set(context.Background(), "/a", []byte("x"), 0)
				}}
			}
			return clienttest.Action{}
		})
		_, err := c.Set(t.Context(), "/a", []byte("x"), 0)
		wantErr(t, err, client.Unknown, client.ErrOutcomeUnknown)
	})
}
