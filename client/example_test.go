package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/grovekeeper/grove/client"
	"github.com/grovekeeper/grove/client/clienttest"
)

// connect is client.Dial to a service in memory. Programs name their servers instead:
//
//	c, err := client.Dial(ctx, "zk1,zk2,zk3")
func connect(ctx context.Context) (c *client.Client, end func()) {
	s := clienttest.NewServer()
	c, err := client.Dial(ctx, "zk1,zk2,zk3", client.WithDialer(s.Dial))
	if err != nil {
		log.Fatal(err)
	}
	return c, func() {
		if err := c.Close(ctx); err != nil {
			log.Print(err)
		}
		s.Close()
	}
}

func Example() {
	ctx := context.Background()
	c, end := connect(ctx)
	defer end()

	node, err := c.Get(ctx, "/config")
	if errors.Is(err, client.ErrNoNode) {
		node, err = c.Create(ctx, "/config", []byte("colour=green"))
	}
	if err != nil {
		log.Fatal(err)
	}
	stat, err := c.Set(ctx, "/config", []byte("colour=blue"), node.Stat.Version)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, then version %d\n", node.Data, stat.Version)
	// Output: colour=green, then version 1
}

func ExampleOutcomeOf() {
	ctx := context.Background()
	c, end := connect(ctx)
	defer end()

	_, err := c.Create(ctx, "/missing/child", nil)
	switch client.OutcomeOf(err) {
	case client.Definite:
		fmt.Println("nothing was changed:", err)
	case client.NeverSent:
		fmt.Println("try again")
	case client.Unknown:
		fmt.Println("look before you try again")
	}
	// Output: nothing was changed: create /missing/child: node does not exist
}

func ExampleClient_Multi() {
	ctx := context.Background()
	c, end := connect(ctx)
	defer end()

	_, err := c.Multi(ctx,
		client.OpCreate("/order", []byte("17")),
		client.OpCheck("/stock", 3),
	)
	var failed *client.MultiError
	if errors.As(err, &failed) {
		fmt.Println(failed.Index, failed.Path, failed.Err)
	}
	// Output: 1 /stock node does not exist
}

func ExampleClient_Async() {
	ctx := context.Background()
	c, end := connect(ctx)
	defer end()

	a := c.Async()
	a.Create(ctx, "/tasks", nil)
	for range 3 {
		a.Create(ctx, "/tasks/t-", nil, client.Sequential())
	}
	list, err := a.Children(ctx, "/tasks").Wait(ctx) // one round trip for all of it
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(list.Names))
	// Output: 3
}

func ExampleClient_GetW() {
	ctx := context.Background()
	c, end := connect(ctx)
	defer end()

	if _, err := c.Create(ctx, "/flag", []byte("off")); err != nil {
		log.Fatal(err)
	}
	node, watch, err := c.GetW(ctx, "/flag")
	if err != nil {
		log.Fatal(err)
	}
	defer watch.Cancel() // gives the server's watch back, if it has not fired
	go c.Set(ctx, "/flag", []byte("on"), node.Stat.Version)
	event, err := watch.Wait(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(event.Type, event.Path)
	// Output: data changed /flag
}

func ExampleClient_Follow() {
	ctx := context.Background()
	c, end := connect(ctx)
	defer end()

	for node, err := range c.Follow(ctx, "/config") {
		if err != nil {
			log.Fatal(err)
		}
		if node.Stat.Czxid == 0 {
			fmt.Println("not there yet")
			go c.Create(ctx, "/config", []byte("v1"))
			continue
		}
		fmt.Printf("%s\n", node.Data)
		break // gives the watch back
	}
	// Output:
	// not there yet
	// v1
}

func ExampleClient_Subscribe() {
	ctx := context.Background()
	c, end := connect(ctx)
	defer end()

	sub, err := c.Subscribe(ctx, "/", client.Recursive())
	if err != nil {
		log.Fatal(err)
	}
	defer sub.Close()
	a := c.Async()
	a.Create(ctx, "/a", nil)
	a.Create(ctx, "/a/b", nil)
	a.Delete(ctx, "/a/b", client.AnyVersion)
	n := 0
	for event, err := range sub.Events() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(event.Type, event.Path) // on client.Resync, read everything again
		if n++; n == 3 {
			break
		}
	}
	// Output:
	// created /a
	// created /a/b
	// deleted /a/b
}

func ExampleClient_WithSession() {
	ctx := context.Background()
	c, end := connect(ctx)
	defer end()

	if _, err := c.Create(ctx, "/leader", []byte("me"), client.Ephemeral()); err != nil {
		log.Fatal(err)
	}
	hold, cancel := c.WithSession(ctx)
	defer cancel()
	// Work under hold: it ends before another can find the node gone.
	select {
	case <-hold.Done():
		fmt.Println("lost:", context.Cause(hold))
	case <-time.After(time.Millisecond):
		fmt.Println("still the leader")
	}
	// Output: still the leader
}

func ExampleProtected() {
	ctx := context.Background()
	c, end := connect(ctx)
	defer end()

	node, err := c.Create(ctx, "/lock-", nil, client.Ephemeral(), client.Sequential(), client.Protected())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(node.Path[:4], node.Path[len(node.Path)-15:])
	// Output: /_c_ lock-0000000000
}
