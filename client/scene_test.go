package client_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grovekeeper/grove/client"
	"github.com/grovekeeper/grove/client/clienttest"
)

// scene runs f in a bubble of its own with a server and a client. The bubble ends only when no
// goroutine is left, so every test shows that Close leaves none.
func scene(t *testing.T, f func(t *testing.T, s *clienttest.Server, c *client.Client), opts ...client.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := clienttest.NewServer()
		defer s.Close()
		c := dial(t, s, opts...)
		defer c.Close(t.Context())
		f(t, s, c)
	})
}

func dial(t *testing.T, s *clienttest.Server, opts ...client.Option) *client.Client {
	t.Helper()
	c, err := client.Dial(t.Context(), "a,b,c", append([]client.Option{client.WithDialer(s.Dial)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// wantErr checks what an error matches, and what is known of its operation.
func wantErr(t *testing.T, err error, outcome client.Outcome, targets ...error) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %v", targets)
	}
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("error is %v, want one that matches %v", err, target)
		}
	}
	if got := client.OutcomeOf(err); got != outcome {
		t.Errorf("outcome of %v is %v, want %v", err, got, outcome)
	}
	var op *client.OpError
	if !errors.As(err, &op) {
		t.Errorf("%v is no OpError", err)
	}
}

// after is a context that ends.
func after(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// on cuts the connection at the first request of an operation.
func on(op string, where clienttest.Where) func(clienttest.Request) clienttest.Action {
	return func(r clienttest.Request) clienttest.Action {
		if r.Op == op && r.Attempt == 0 {
			return clienttest.Action{Cut: where}
		}
		return clienttest.Action{}
	}
}
