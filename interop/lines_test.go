package interop

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// lines is a foreign process: lines go in, lines come out, those of both its outputs together.
type lines struct {
	t   *testing.T
	in  io.WriteCloser
	out <-chan string // closed at the end of the process
	end *time.Timer

	mu   sync.Mutex // guards said
	said []string   // everything so far; shown when the test fails
}

// start runs cmd until it ends by itself or clientMax is over.
func start(t *testing.T, cmd *exec.Cmd) *lines {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	out := make(chan string, 10_000) // more than any client has to say
	l := &lines{t: t, in: in, out: out}
	l.end = time.AfterFunc(clientMax, func() {
		in.Close() // a Java machine under a shell script ends with its input
		cmd.Process.Kill()
		r.Close()
	})
	go func() {
		defer close(out)
		for s := bufio.NewScanner(r); s.Scan(); {
			l.keep(s.Text())
			out <- s.Text()
		}
	}()
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
		l.end.Stop()
		for range out { // until the reader has seen the end
		}
		r.Close()
		if t.Failed() {
			t.Logf("%s said:\n%s", cmd.Path, strings.Join(l.said, "\n"))
		}
	})
	return l
}

func (l *lines) keep(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = append(l.said, line)
}

// tell writes one line to the process, and notes it among what was said.
func (l *lines) tell(line string) {
	l.t.Helper()
	l.keep("> " + line)
	if _, err := io.WriteString(l.in, line+"\n"); err != nil {
		l.t.Fatalf("tell %q: %v", line, err)
	}
}
