package client_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grovekeeper/grove/client"
	"github.com/grovekeeper/grove/client/clienttest"
)

func TestReadsAndWrites(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		ctx := t.Context()
		made := must[client.Node](t)(c.Create(ctx, "/a", []byte("one")))
		if made.Path != "/a" || string(made.Data) != "one" || made.Stat.Czxid == 0 || made.Stat.DataLength != 3 {
			t.Errorf("created %+v", made)
		}
		read := must[client.Node](t)(c.Get(ctx, "/a"))
		if string(read.Data) != "one" || read.Stat != made.Stat {
			t.Errorf("read %+v, created %+v", read, made)
		}
		stat := must[client.Stat](t)(c.Set(ctx, "/a", []byte("two"), 0))
		if stat.Version != 1 || !stat.SameNode(made.Stat) {
			t.Errorf("set: %+v", stat)
		}
		if got := must[client.Stat](t)(c.Stat(ctx, "/a")); got != stat {
			t.Errorf("stat is %+v, was %+v when set", got, stat)
		}
		_, err := c.Set(ctx, "/a", nil, 0)
		wantErr(t, err, client.Definite, client.ErrBadVersion)
		must[client.Node](t)(c.Create(ctx, "/a/b", nil))
		list := must[client.Children](t)(c.Children(ctx, "/a"))
		if !slices.Equal(list.Names, []string{"b"}) || list.Stat.NumChildren != 1 {
			t.Errorf("children: %+v", list)
		}
		wantErr(t, c.Delete(ctx, "/a", client.AnyVersion), client.Definite, client.ErrNotEmpty)
		if err := c.Delete(ctx, "/a/b", 0); err != nil {
			t.Error(err)
		}
		if err := c.Sync(ctx, "/"); err != nil {
			t.Error(err)
		}
		_, err = c.Get(ctx, "/a/b")
		wantErr(t, err, client.Definite, client.ErrNoNode)
		if want := "get /a/b: node does not exist"; err.Error() != want {
			t.Errorf("error is %q, want %q", err, want)
		}
	})
}

func TestKindsOfNodes(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		ctx := t.Context()
		must[client.Node](t)(c.Create(ctx, "/q", nil, client.Container()))
		for _, want := range []string{"/q/0000000000", "/q/0000000001"} {
			if n := must[client.Node](t)(c.Create(ctx, "/q/", nil, client.Sequential())); n.Path != want {
				t.Errorf("made %s, want %s", n.Path, want)
			}
		}
		n := must[client.Node](t)(c.Create(ctx, "/e", nil, client.Ephemeral()))
		if n.Stat.EphemeralOwner != c.Session().ID {
			t.Errorf("owner is %x, session is %x", n.Stat.EphemeralOwner, c.Session().ID)
		}
		must[client.Node](t)(c.Create(ctx, "/t", nil, client.TTL(time.Second)))
		acl := client.ReadACL()
		must[client.Node](t)(c.Create(ctx, "/r", nil, client.WithACL(acl...)))
		got, _, err := c.ACL(ctx, "/r")
		if err != nil || !slices.Equal(got, acl) {
			t.Errorf("access list is %v, %v", got, err)
		}
		if stat := must[client.Stat](t)(c.SetACL(ctx, "/r", client.OpenACL(), 0)); stat.Aversion != 1 {
			t.Errorf("set access list: %+v", stat)
		}
	})
}

func TestMultiIsAllOrNothing(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		ctx := t.Context()
		results := must[[]client.OpResult](t)(c.Multi(ctx,
			client.OpCreate("/a", []byte("1")),
			client.OpCreate("/a/s-", nil, client.Sequential()),
			client.OpSet("/a", []byte("2"), 0),
			client.OpCheck("/a", 1),
		))
		if results[1].Path != "/a/s-0000000000" || results[2].Stat.Version != 1 || results[0].Stat.Czxid == 0 {
			t.Errorf("results: %+v", results)
		}
		_, err := c.Multi(ctx, client.OpCreate("/b", nil), client.OpDelete("/nowhere", client.AnyVersion))
		wantErr(t, err, client.Definite, client.ErrNoNode)
		var multi *client.MultiError
		if !errors.As(err, &multi) || multi.Index != 1 || multi.Path != "/nowhere" {
			t.Errorf("error is %v", err)
		}
		if _, ok := s.Data("/b"); ok {
			t.Error("half of a multi took effect")
		}
	})
}

func TestARootIsInvisible(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := clienttest.NewServer()
		defer s.Close()
		plain := dial(t, s)
		defer plain.Close(t.Context())
		must[client.Node](t)(plain.Create(t.Context(), "/app", nil))
		c, err := client.Dial(t.Context(), "zk://h:1234/app", client.WithDialer(s.Dial))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(t.Context())
		n := must[client.Node](t)(c.Create(t.Context(), "/x", nil))
		if n.Path != "/x" {
			t.Errorf("path is %s", n.Path)
		}
		if _, ok := s.Data("/app/x"); !ok {
			t.Error("the node is not below the root")
		}
		if list := must[client.Children](t)(c.Children(t.Context(), "/")); !slices.Equal(list.Names, []string{"x"}) {
			t.Errorf("children: %v", list.Names)
		}
		r := must[[]client.OpResult](t)(c.Multi(t.Context(), client.OpCreate("/y", nil)))
		if r[0].Path != "/y" {
			t.Errorf("path is %s", r[0].Path)
		}
	})
}

func TestBadUseIsToldAtOnce(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		ctx := t.Context()
		for _, path := range []string{"", "a", "/a/", "//", "/a//b", "/a/./b", "/..", "/a\x00", "/\ue000", "/\U0001f600", "/\xff"} {
			_, err := c.Get(ctx, path)
			wantErr(t, err, client.NeverSent, client.ErrInvalidPath)
		}
		for _, path := range []string{"/", "/a.b", "/...", "/é x", "/.a"} {
			if _, err := c.Get(ctx, path); err != nil && !errors.Is(err, client.ErrNoNode) {
				t.Errorf("%q: %v", path, err)
			}
		}
		var none []client.CreateOption
		_, err := c.Create(ctx, "/a", make([]byte, 1<<20), none...)
		wantErr(t, err, client.NeverSent, client.ErrTooLarge)
		_, err = c.Set(ctx, "/a", nil, -2)
		wantErr(t, err, client.NeverSent, client.ErrInvalidArgument)
		var never context.Context
		_, err = c.Get(never, "/a")
		wantErr(t, err, client.NeverSent, client.ErrInvalidArgument)
		_, err = c.Create(ctx, "/a", nil, client.Ephemeral(), client.TTL(time.Second))
		wantErr(t, err, client.NeverSent, client.ErrInvalidArgument)
		_, err = c.Create(ctx, "/a", nil, client.TTL(-1))
		wantErr(t, err, client.NeverSent, client.ErrInvalidArgument)
		_, err = c.Multi(ctx, client.OpSet("nowhere", nil, 0))
		wantErr(t, err, client.NeverSent, client.ErrInvalidPath)
		_, err = c.Multi(ctx, client.Op{})
		wantErr(t, err, client.NeverSent, client.ErrInvalidArgument)
		wantErr(t, c.Close(never), client.NeverSent, client.ErrInvalidArgument)
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
		_, err = c.Get(ctx, "/")
		wantErr(t, err, client.NeverSent, client.ErrClosed)
	})
}

func TestBadSettingsAreToldAtOnce(t *testing.T) {
	for _, target := range []string{"", ",", "/a", "h:0", "h:x", "h:70000", "h/a/", "a:b:c"} {
		_, err := client.Dial(t.Context(), target)
		wantErr(t, err, client.NeverSent)
		if err != nil && !strings.Contains(err.Error(), "dial") {
			t.Error(err)
		}
	}
	for _, o := range []client.Option{
		client.WithSessionTimeout(-1), client.WithConnectTimeout(-1), client.WithRequestTimeout(-1),
		client.WithMaxInFlight(-1), client.WithConfig(client.Config{ClockDrift: 1}),
		client.WithConfig(client.Config{MaxPacket: 3}),
	} {
		_, err := client.Dial(t.Context(), "h", o)
		wantErr(t, err, client.NeverSent, client.ErrInvalidArgument)
	}
}
