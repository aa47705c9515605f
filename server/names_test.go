package server

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/grovekeeper/grove/server/member"
)

func TestNodesAreNamedInTheLog(t *testing.T) {
	var out bytes.Buffer
	plain := slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	node := member.NewNode(3, 0xabcd00)
	log := slog.New(named{plain}).With("server", 3)
	log.Info("raft", "leader", uint64(node), "voters", []uint64{1, uint64(node)}, "term", uint64(7), "to", uint64(0),
		"peer", uint8(2), "cluster", uint64(0xbeef))
	want := `level=INFO msg=raft server=3 leader=` + node.String() + ` voters="1 ` + node.String() + `" term=7 to=none peer=2 cluster=000000000000beef` + "\n"
	if got := out.String(); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}
