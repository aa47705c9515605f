package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grovekeeper/grove/client"
	"github.com/grovekeeper/grove/client/clienttest"
)

// A read whose answer is lost is sent again; nobody notices.
func TestReadsOutliveAConnection(t *testing.T) {
	for _, where := range []clienttest.Where{clienttest.Before, clienttest.After} {
		scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
			was := c.Session()
			must[client.Node](t)(c.Create(t.Context(), "/a", []byte("x"), client.Ephemeral()))
			s.Script(on("getData", where))
			if n := must[client.Node](t)(c.Get(t.Context(), "/a")); string(n.Data) != "x" {
				t.Errorf("read %q", n.Data)
			}
			if now := c.Session(); now.ID != was.ID || now.Incarnation != 1 {
				t.Errorf("session is %+v, was %+v", now, was)
			}
		})
	}
}

// While no server is there, requests wait; what was not sent says so.
func TestRequestsWaitForAServer(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		s.Down(true)
		synctest.Wait()
		_, err := c.Create(after(t, time.Second), "/a", nil)
		wantErr(t, err, client.NeverSent, client.ErrNotSent, context.DeadlineExceeded, clienttest.ErrDown)
		var g sync.WaitGroup
		g.Go(func() { must[client.Node](t)(c.Create(t.Context(), "/b", nil)) })
		time.Sleep(time.Second)
		s.Down(false)
		g.Wait()
		if _, ok := s.Data("/a"); ok {
			t.Error("a request was sent after its caller had been told that it was not")
		}
	})
}

// A context that ends while the request is on the wire leaves a write unknown, and a read harmless.
func TestAContextEndsAWait(t *testing.T) {
	slow := func(clienttest.Request) clienttest.Action { return clienttest.Action{Delay: time.Second} }
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		s.Script(slow)
		_, err := c.Create(after(t, 500*time.Millisecond), "/a", nil)
		wantErr(t, err, client.Unknown, client.ErrOutcomeUnknown, context.DeadlineExceeded)
		_, err = c.Get(after(t, 500*time.Millisecond), "/a")
		wantErr(t, err, client.Definite, context.DeadlineExceeded)
		time.Sleep(2 * time.Second)
		if _, ok := s.Data("/a"); !ok {
			t.Error("the request was undone")
		}
	})
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		s.Script(slow)
		_, err := c.Get(t.Context(), "/a")
		wantErr(t, err, client.Definite, context.DeadlineExceeded)
	}, client.WithRequestTimeout(100*time.Millisecond))
}

// An idle session lives by pings; a silent server is left in time.
func TestPingsAndSilence(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		was := c.Session()
		time.Sleep(time.Minute)
		now := c.Session()
		if now.ID != was.ID || s.Dialled() != 1 {
			t.Errorf("session %+v became %+v after %d dials", was, now, s.Dialled())
		}
		if left := time.Until(now.Deadline); left < 5*time.Second || left > 9*time.Second {
			t.Errorf("the deadline is %v away", left)
		}
		mute := true
		s.Script(func(r clienttest.Request) clienttest.Action {
			if mute && r.Op == "ping" {
				mute = false
				return clienttest.Action{Delay: time.Minute} // the whole connection waits
			}
			return clienttest.Action{}
		})
		time.Sleep(9 * time.Second)
		if now := c.Session(); now.ID != was.ID || now.Server == "" || s.Dialled() != 2 {
			t.Errorf("session %+v became %+v after %d dials", was, now, s.Dialled())
		}
	})
}

// A session that is gone is followed by another; what waits goes on in that.
func TestExpiry(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		must[client.Node](t)(c.Create(t.Context(), "/e", nil, client.Ephemeral()))
		was := c.Session()
		s.Expire(int64(was.ID))
		_, err := c.Get(t.Context(), "/e")
		wantErr(t, err, client.Definite, client.ErrNoNode)
		now := c.Session()
		if now.ID == was.ID || now.Incarnation != 2 {
			t.Errorf("session %+v became %+v", was, now)
		}
	})
}

func TestCloseEndsTheSession(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		must[client.Node](t)(c.Create(t.Context(), "/e", nil, client.Ephemeral()))
		s.Script(on("closeSession", clienttest.Before)) // the first attempt is lost
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if n := len(s.Sessions()); n != 0 || len(s.Children("/")) != 0 {
			t.Errorf("%d sessions left, and %v", n, s.Children("/"))
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A closeSession that was run, and whose answer was lost, is a success.
func TestCloseTwiceOnTheServer(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		s.Script(on("closeSession", clienttest.After))
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if n := len(s.Sessions()); n != 0 {
			t.Errorf("%d sessions", n)
		}
	})
}

func TestCloseWithoutAServer(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		s.Down(true)
		var g sync.WaitGroup
		g.Go(func() {
			_, err := c.Create(t.Context(), "/a", nil)
			wantErr(t, err, client.NeverSent, client.ErrClosed)
		})
		synctest.Wait()
		began := time.Now()
		err := c.Close(t.Context())
		wantErr(t, err, client.Unknown, client.ErrConnectionLost)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("took %v, the session times out after 10 s", took)
		}
		g.Wait()
	})
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		s.Down(true)
		wantErr(t, c.Close(after(t, time.Second)), client.Unknown, context.DeadlineExceeded)
	})
}

// Dial tries every server, and a dead one costs one time-out.
func TestDialTriesAllServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := clienttest.NewServer()
		defer s.Close()
		tried := map[string]int{}
		dialer := func(ctx context.Context, network, addr string) (net.Conn, error) {
			tried[addr]++
			if addr != "c:2181" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return s.Dial(ctx, network, addr)
		}
		began := time.Now()
		c, err := client.Dial(t.Context(), "a,b,c", client.WithDialer(dialer))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(t.Context())
		if took := time.Since(began); took > 10*time.Second/3 {
			t.Errorf("took %v", took)
		}
		if tried["a:2181"] > 1 || tried["b:2181"] > 1 || tried["c:2181"] != 1 {
			t.Errorf("tried %v", tried)
		}
	})
}

func TestDialGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := clienttest.NewServer()
		defer s.Close()
		s.Down(true)
		_, err := client.Dial(after(t, time.Minute), "a,b", client.WithDialer(s.Dial))
		wantErr(t, err, client.NeverSent, context.DeadlineExceeded, clienttest.ErrDown)
		if n := s.Dialled(); n < 100 || n > 200 {
			t.Errorf("tried %d times in a minute", n)
		}
	})
}

// Requests of many are on their way at once, and no more than permitted.
func TestManyInFlight(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		s.Script(func(r clienttest.Request) clienttest.Action {
			if r.Op == "sync" {
				return clienttest.Action{Delay: time.Second}
			}
			return clienttest.Action{}
		})
		var g sync.WaitGroup
		g.Go(func() { c.Sync(t.Context(), "/") })
		synctest.Wait()
		for i := range 3 {
			g.Go(func() { must[client.Node](t)(c.Create(t.Context(), fmt.Sprintf("/%d", i), nil)) })
		}
		synctest.Wait()
		_, err := c.Create(after(t, 500*time.Millisecond), "/over", nil)
		wantErr(t, err, client.NeverSent, context.DeadlineExceeded)
		g.Wait()
		if got := s.Children("/"); !slices.Equal(got, []string{"0", "1", "2"}) {
			t.Errorf("made %v", got)
		}
	}, client.WithMaxInFlight(4))
}

// A cut at any time leaves each operation of many callers with an outcome that is true.
func TestCutsUnderLoad(t *testing.T) {
	scene(t, func(t *testing.T, s *clienttest.Server, c *client.Client) {
		n := 0
		s.Script(func(r clienttest.Request) clienttest.Action {
			if n++; n%7 == 0 {
				return clienttest.Action{Cut: clienttest.Where(1 + n%2)}
			}
			return clienttest.Action{}
		})
		var g sync.WaitGroup
		for i := range 20 {
			g.Go(func() {
				for j := range 20 {
					path := fmt.Sprintf("/%d-%d", i, j)
					_, err := c.Create(t.Context(), path, nil)
					_, made := s.Data(path)
					if err == nil && !made || client.OutcomeOf(err) == client.NeverSent ||
						client.OutcomeOf(err) == client.Definite && err != nil && !errors.Is(err, client.ErrNodeExists) {
						t.Errorf("%s: made %v, error %v", path, made, err)
					}
				}
			})
		}
		g.Wait()
		s.Script(nil)
	})
}
