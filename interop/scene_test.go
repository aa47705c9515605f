package interop

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/grovekeeper/grove/interop/process"
)

// A scene is one client on a server of its own. Everything a client does is below root.
type scene struct {
	t      *testing.T
	server *process.Server
	addr   string // of the server as the client knows it
	root   string
	*column
}

// flags make the server quick to remove empty containers and overdue nodes.
var flags = []string{"--container-check-ms", "100"}

func open(t *testing.T, binary, root string, c *column) *scene {
	t.Helper()
	s := &process.Server{Binary: binary, Dir: filepath.Join(t.TempDir(), "data"), Flags: flags}
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("the server did not end well: %v", err)
		}
	})
	c.cells = map[string]cell{}
	return &scene{t: t, server: s, addr: s.Addr, root: root, column: c}
}

// restart kills the server and starts it again on the same directory. In between it runs where the
// client does not find it, and another client changes what the first one watches: root/away gets
// new data and a child, born.
func (s *scene) restart() {
	s.t.Helper()
	s.move("127.0.0.1:0")
	c, events, err := zk.Connect([]string{s.server.Addr}, 10*time.Second, zk.WithLogger(silent{}))
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	await(s.t, events, zk.StateHasSession)
	if _, err := c.Set(s.root+"/away", []byte("changed"), -1); err != nil {
		s.t.Fatal(err)
	}
	if _, err := c.Create(s.root+"/away/born", nil, 0, zk.WorldACL(zk.PermAll)); err != nil {
		s.t.Fatal(err)
	}
	s.move(s.addr)
}

func (s *scene) move(addr string) {
	s.t.Helper()
	if err := s.server.Kill(); err != nil {
		s.t.Fatal(err)
	}
	if err := s.server.Start(addr); err != nil {
		s.t.Fatal(err)
	}
}

type silent struct{}

func (silent) Printf(string, ...any) {}

// await reads session events until the session is in a state.
func await(t *testing.T, events <-chan zk.Event, state zk.State) {
	t.Helper()
	end := time.After(clientMax)
	for {
		select {
		case ev := <-events:
			if ev.Type == zk.EventSession && ev.State == state {
				return
			}
		case <-end:
			t.Fatalf("no session event %v", state)
		}
	}
}
