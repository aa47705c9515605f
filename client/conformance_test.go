package client_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/grovekeeper/grove/client"
	"github.com/grovekeeper/grove/client/clienttest"
)

// The same in memory, and on the servers that GROVE_CLIENT_TEST lists, as a target of Dial:
//
//	GROVE_CLIENT_TEST=127.0.0.1:2181 go test -run Conformance ./client
func TestConformance(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		s := clienttest.NewServer()
		defer s.Close()
		conform(t, "memory", client.WithDialer(s.Dial))
	})
	t.Run("servers", func(t *testing.T) {
		target := os.Getenv("GROVE_CLIENT_TEST")
		if target == "" {
			t.Skip("GROVE_CLIENT_TEST names no server")
		}
		conform(t, target)
	})
}

func conform(t *testing.T, target string, opts ...client.Option) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	open := func(more ...client.Option) *client.Client {
		c, err := client.Dial(ctx, target, append(opts, more...)...)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	top := open()
	defer top.Close(context.WithoutCancel(ctx))
	base := must[client.Node](t)(top.Create(ctx, "/conform-", nil, client.Sequential())).Path
	c := must[*client.Client](t)(top.Sub(base))
	all := watched(t, c)
	node := must[*client.Subscription](t)(c.Subscribe(ctx, "/data"))
	tree := must[*client.Subscription](t)(c.Subscribe(ctx, "/", client.Recursive()))
	defer tree.Close()
	change(t, c)
	wantFired(t, all)
	want := fmt.Sprint([]string{"data changed /data", "deleted /stat", "created /list/x", "created /none"})
	if got := fmt.Sprint(take(t, tree, 4)); got != want {
		t.Errorf("tree: %s, want %s", got, want)
	}
	if got := take(t, node, 1)[0]; got != "data changed /data" {
		t.Errorf("node: %s", got)
	}
	node.Close()

	n := must[client.Node](t)(c.Create(ctx, "/e", []byte{}, client.Ephemeral()))
	if n.Data == nil || n.Stat.EphemeralOwner != c.Session().ID {
		t.Errorf("ephemeral: %+v", n)
	}
	_, err := c.Create(ctx, "/e/x", nil)
	wantErr(t, err, client.Definite, client.ErrNoChildrenForEphemerals)
	_, err = c.Multi(ctx, client.OpCreate("/m", nil), client.OpCheck("/m", 1))
	wantErr(t, err, client.Definite, client.ErrBadVersion)
	var multi *client.MultiError
	if !errors.As(err, &multi) || multi.Index != 1 {
		t.Errorf("multi: %v", err)
	}
	must[client.Node](t)(c.Create(ctx, "/box", nil, client.Container()))
	p := must[client.Node](t)(c.Create(ctx, "/box/p-", nil, client.Protected(), client.Sequential()))
	results := must[[]client.OpResult](t)(c.Multi(ctx, client.OpSet(p.Path, []byte("y"), 0), client.OpDelete(p.Path, 1),
		client.OpCreate("/t", nil)))
	if results[0].Stat.Version != 1 || results[2].Path != "/t" {
		t.Errorf("multi: %+v", results)
	}
	_, w, _ := c.StatW(ctx, "/never")
	w.Cancel()

	// A session goes on elsewhere, and its ephemeral nodes with it; then it ends, and they do.
	heir := open(client.WithTicket(top.Detach()))
	here := must[*client.Client](t)(heir.Sub(base))
	if got := must[client.Node](t)(here.Get(ctx, "/e")); got.Stat.EphemeralOwner != heir.Session().ID {
		t.Errorf("the session moved to %+v, the node is %+v", heir.Session(), got)
	}
	if err := heir.Close(ctx); err != nil {
		t.Error(err)
	}
	last := open(client.WithAuth(client.Digest("user", "secret")))
	defer last.Close(context.WithoutCancel(ctx))
	if err := last.Sync(ctx, "/"); err != nil {
		t.Error(err)
	}
	_, err = last.Get(ctx, base+"/e")
	wantErr(t, err, client.Definite, client.ErrNoNode)
	for _, path := range []string{"/t", "/box", "/none", "/list/x", "/list", "/data", ""} {
		if err := last.Delete(ctx, base+path, client.AnyVersion); err != nil {
			t.Error(err)
		}
	}
}
