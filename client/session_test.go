package client_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grovekeeper/grove/client"
	"github.com/grovekeeper/grove/client/clienttest"
)

func TestStates(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		var seen []string
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for change := range c.States(t.Context()) {
				seen = append(seen, fmt.Sprint(change.State, " ", change.Session.Incarnation))
			}
		}()
		synctest.Wait()
		s.Cut()
		c.Sync(t.Context(), "/")
		s.Expire(int64(c.Session().ID))
		c.Sync(t.Context(), "/")
		c.Close(t.Context())
		<-ended
		want := []string{"connected 1", "suspended 1", "connected 1", "suspended 1", "expired 1", "connected 2", "closed 2"}
		if !slices.Equal(seen, want) {
			t.Errorf("seen %q", seen)
		}
	})
}

// A hold ends before the server can give the session away, or as soon as it is known to be gone.
func TestHoldsEndInTime(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		hold, cancel := c.WithSession(t.Context())
		defer cancel()
		time.Sleep(time.Minute)
		if hold.Err() != nil {
			t.Fatalf("a hold of a session that lives has ended: %v", context.Cause(hold))
		}
		child, drop := context.WithCancel(hold)
		defer drop()
		s.Down(true)
		<-child.Done()
		if n := len(s.Sessions()); n != 1 {
			t.Error("the session ended before the hold")
		}
		if cause := context.Cause(hold); !errors.Is(cause, client.ErrSessionExpired) {
			t.Error(cause)
		}
		time.Sleep(2 * time.Second)
		if n := len(s.Sessions()); n != 0 {
			t.Error("the hold ended long before the session")
		}
		s.Down(false)
		c.Sync(t.Context(), "/")
		hold, cancel = c.WithSession(t.Context())
		defer cancel()
		s.Expire(int64(c.Session().ID))
		c.Sync(t.Context(), "/")
		if hold.Err() == nil {
			t.Error("a hold outlived its session")
		}
		var lost *client.SessionLostError
		if !errors.As(context.Cause(hold), &lost) || lost.State != client.Expired {
			t.Errorf("cause is %v", context.Cause(hold))
		}
		hold, cancel = c.WithSession(t.Context())
		c.Close(t.Context())
		if hold.Err() == nil {
			t.Error("a hold outlived its client")
		}
		cancel()
	})
}

func TestASessionGoesOnInAnotherClient(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		must[client.Node](t)(c.Create(t.Context(), "/e", nil, client.Ephemeral()))
		ticket := c.Detach()
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		heir := dial(t, s, client.WithTicket(ticket))
		if heir.Session().ID != ticket.ID || heir.Session().Incarnation != 1 {
			t.Errorf("session is %+v", heir.Session())
		}
		n := must[client.Node](t)(heir.Get(t.Context(), "/e"))
		if n.Stat.EphemeralOwner != ticket.ID {
			t.Errorf("node is %+v", n)
		}
		heir.Close(t.Context())
		late := dial(t, s, client.WithTicket(ticket))
		defer late.Close(t.Context())
		if late.Session().ID == ticket.ID {
			t.Error("a session that is gone was continued")
		}
	})
}

func TestCredentialsComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := clienttest.NewServer()
		defer s.Close()
		var order []string
		s.Script(func(r clienttest.Request) clienttest.Action {
			order = append(order, r.Op)
			return clienttest.Action{}
		})
		asked := 0
		c := dial(t, s, client.WithAuth(client.Digest("u", "p"), client.Credential{Scheme: "x",
			Data: func(context.Context) ([]byte, error) {
				if asked++; asked == 2 {
					return nil, errors.New("not now")
				}
				return []byte("y"), nil
			}}))
		defer c.Close(t.Context())
		c.Sync(t.Context(), "/")
		s.Cut()
		c.Sync(t.Context(), "/")
		if want := []string{"connect", "auth", "auth", "sync"}; !slices.Equal(order, append(want, want...)) {
			t.Errorf("order is %v", order)
		}
		s.Script(func(r clienttest.Request) clienttest.Action {
			if r.Op == "auth" {
				return clienttest.Action{Err: int32(client.ErrAuthFailed)}
			}
			return clienttest.Action{}
		})
		s.Cut()
		synctest.Wait()
		_, err := c.Create(t.Context(), "/a", nil)
		for client.OutcomeOf(err) == client.Definite { // not yet
			_, err = c.Create(t.Context(), "/a", nil)
		}
		if !errors.Is(err, client.ErrAuthFailed) {
			t.Errorf("error is %v", err)
		}
		_, err = client.Dial(t.Context(), "h", client.WithDialer(s.Dial), client.WithAuth(client.Digest("u", "p")))
		wantErr(t, err, client.NeverSent, client.ErrAuthFailed)
	})
}

func TestSub(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		must[client.Node](t)(c.Create(t.Context(), "/a", nil))
		sub := must[*client.Client](t)(c.Sub("/a"))
		deep := must[*client.Client](t)(sub.Sub("/b"))
		must[client.Node](t)(deep.Create(t.Context(), "/", nil))
		n := must[client.Node](t)(deep.Create(t.Context(), "/c", nil, client.Sequential()))
		if _, ok := s.Data("/a/b/c0000000000"); !ok || n.Path != "/c0000000000" {
			t.Errorf("made %s", n.Path)
		}
		_, w, err := deep.GetW(t.Context(), n.Path)
		if err != nil {
			t.Fatal(err)
		}
		c.Set(t.Context(), "/a/b"+n.Path, nil, client.AnyVersion)
		if e, err := w.Event(); err != nil || e.Path != n.Path {
			t.Errorf("event %+v, %v", e, err)
		}
		_, err = c.Sub("x")
		wantErr(t, err, client.NeverSent, client.ErrInvalidPath)
	})
}

func TestTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"zk1"},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AddCert(cert)
		s := clienttest.NewServer()
		defer s.Close()
		safe := func(ctx context.Context, network, addr string) (net.Conn, error) {
			plain, err := s.Dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			near, far := net.Pipe()
			server := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
			go func() { io.Copy(server, plain); far.Close() }()
			go func() { io.Copy(plain, server); plain.Close() }()
			return near, nil
		}
		c, err := client.Dial(t.Context(), "zk1", client.WithDialer(safe), client.WithTLS(&tls.Config{RootCAs: roots}))
		if err != nil {
			t.Fatal(err)
		}
		must[client.Node](t)(c.Create(t.Context(), "/a", make([]byte, 100_000)))
		c.Close(t.Context())
		_, err = client.Dial(after(t, time.Second), "zk2", client.WithDialer(safe), client.WithTLS(&tls.Config{RootCAs: roots}))
		var wrong x509.HostnameError
		if !errors.As(err, &wrong) {
			t.Errorf("another server's certificate: %v", err)
		}
	})
}
