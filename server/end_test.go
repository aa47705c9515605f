package server

import (
	"context"
	"testing"
)

// The last checkpoint is written when the replica has stopped, and the log it makes superfluous is let go
// of by nobody: the next start does that. An end like this is a good one.
func TestAnEndWithLogToReleaseIsGood(t *testing.T) {
	s, err := Open(Config{Dir: t.TempDir(), ClientAddrs: []string{"127.0.0.1:0"}, LogRetain: -1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	<-s.Ready()
	zxid := s.Zxid()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("the end: %v", err)
	}
	if s.Zxid() != zxid || zxid == 0 {
		t.Errorf("zxid %d at the end, %d when ready: nothing was there to be released", s.Zxid(), zxid)
	}
}
