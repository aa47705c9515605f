package client_test

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/grovekeeper/grove/client"
)

// The benchmarks beside go-zookeeper want a server:
//
//	grove serve --dir /tmp/grove --client-addrs 127.0.0.1:2181 &
//	GROVE_BENCH=127.0.0.1:2181 go test -run '^$' -bench Beside -benchmem ./client

func server(b *testing.B) string {
	addr := os.Getenv("GROVE_BENCH")
	if addr == "" {
		b.Skip("GROVE_BENCH names no server")
	}
	return addr
}

// beside runs the same load through both clients, by so many callers at a time.
func beside(b *testing.B, ours func(*client.Client) error, theirs func(*zk.Conn) error) {
	for _, callers := range []int{1, 64} {
		name := "callers=" + strconv.Itoa(callers)
		b.Run("grove/"+name, func(b *testing.B) {
			c, err := client.Dial(b.Context(), server(b))
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close(context.Background())
			prepare(b, c)
			load(b, callers, func() error { return ours(c) })
		})
		b.Run("gozk/"+name, func(b *testing.B) {
			c, _, err := zk.Connect(strings.Split(server(b), ","), 10*time.Second, zk.WithLogInfo(false), zk.WithLogger(quiet{}))
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			load(b, callers, func() error { return theirs(c) })
		})
	}
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

const benchPath = "/bench-client"

func prepare(b *testing.B, c *client.Client) {
	_, err := c.Create(b.Context(), benchPath, make([]byte, 100))
	if err != nil && client.OutcomeOf(err) != client.Definite {
		b.Fatal(err)
	}
}

func load(b *testing.B, callers int, f func() error) {
	if err := f(); err != nil { // connected
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	work := make(chan error, callers)
	for i := range callers {
		n := b.N / callers
		if i < b.N%callers {
			n++
		}
		go func() {
			var err error
			for range n {
				if e := f(); e != nil {
					err = e
				}
			}
			work <- err
		}()
	}
	for range callers {
		if err := <-work; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
}

func BenchmarkBesideGet(b *testing.B) {
	beside(b, func(c *client.Client) error {
		_, err := c.Get(context.Background(), benchPath)
		return err
	}, func(c *zk.Conn) error {
		_, _, err := c.Get(benchPath)
		return err
	})
}

func BenchmarkBesideSet(b *testing.B) {
	data := make([]byte, 100)
	beside(b, func(c *client.Client) error {
		_, err := c.Set(context.Background(), benchPath, data, client.AnyVersion)
		return err
	}, func(c *zk.Conn) error {
		_, err := c.Set(benchPath, data, -1)
		return err
	})
}
