//go:build linux

package chaos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience bounds everything that should happen soon, on a machine that may be busy.
const patience = 60 * time.Second

// scratch holds what the whole test binary shares; TestMain removes it.
var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "grove-chaos-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(scratch)
	os.Exit(code)
}

// built is grove, built once.
var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "grove")
	args := append([]string{"build", "-o", path}, strings.Fields(os.Getenv("GROVE_CHAOS_BUILD"))...)
	out, err := exec.Command("go", append(args, "../../cmd/grove")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build grove: %w\n%s", err, out)
	}
	return path, nil
})

// process is a server, or a server below a tracer.
type process struct {
	cmd  *exec.Cmd
	log  *tail         // what it wrote to stderr
	up   chan struct{} // closed when it has said that it is ready
	down chan struct{} // closed when it has ended; then err says how
	err  error

	raced atomic.Bool // a race detector in it has spoken

	addr string // where clients connect; set before up is closed
	zxid int64  // as in the ready line

	mu    sync.Mutex
	watch func(line string) // sees every line of stderr; may be nil
}

// settings make checkpoints, segments and expiries frequent enough to be hit.
var settings = []string{
	"--client-addrs", "127.0.0.1:0", "--checkpoint-every", "200", "--log-retain", "100", "--tick-ms", "100",
	"--session-timeout-min-ms", "200", "--session-timeout-max-ms", "120000", "--connections-per-address-max", "0",
}

// launch starts a server on dir, below wrapper if there is one.
func launch(dir string, wrapper ...string) (*process, error) {
	bin, err := built()
	if err != nil {
		return nil, err
	}
	args := append(append([]string(nil), wrapper...), bin, "serve", "--dir", dir)
	args = append(args, settings...)
	p := &process{
		cmd: exec.Command(args[0], args[1:]...), log: &tail{},
		up: make(chan struct{}), down: make(chan struct{}),
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // no server outlives its test
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	var read sync.WaitGroup
	read.Go(func() { p.listen(stdout) })
	read.Go(func() { p.overhear(stderr) })
	go func() {
		read.Wait()
		p.err = p.cmd.Wait()
		close(p.down)
	}()
	return p, nil
}

var readyLine = regexp.MustCompile(`is ready: clients on ([^ ,]+).* zxid 0x([0-9a-f]+)`)

func (p *process) listen(stdout io.Reader) {
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if m := readyLine.FindStringSubmatch(lines.Text()); m != nil {
			p.addr = m[1]
			p.zxid, _ = strconv.ParseInt(m[2], 16, 64) // the expression admits nothing else
			close(p.up)
		}
	}
}

func (p *process) overhear(stderr io.Reader) {
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if p.log.add(lines.Text()); strings.Contains(lines.Text(), "DATA RACE") {
			p.raced.Store(true)
		}
		p.mu.Lock()
		if p.watch != nil {
			p.watch(lines.Text())
		}
		p.mu.Unlock()
	}
}

// onLine has f see every further line of stderr.
func (p *process) onLine(f func(line string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watch = f
}

// ready waits until the server serves. An error says why it does not.
func (p *process) ready() error {
	select {
	case <-p.up:
		return nil
	case <-p.down:
		return fmt.Errorf("ended before it was ready: %w\n%s", p.outcome(), p.log)
	case <-time.After(patience):
		return fmt.Errorf("not ready after %v\n%s", patience, p.log)
	}
}

func (p *process) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// wait waits for the end, and for everything that was written to be read.
func (p *process) wait() error {
	select {
	case <-p.down:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("has not ended after %v\n%s", patience, p.log)
	}
}

// kill ends the server as kill -9 does.
func (p *process) kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return p.wait()
}

var errCleanEnd = errors.New("exit status 0")

// outcome says how the server has ended.
func (p *process) outcome() error {
	if p.err == nil {
		return errCleanEnd
	}
	return p.err
}

// exitCode returns the exit status, -1 if a signal ended the server.
func (p *process) exitCode() int { return p.cmd.ProcessState.ExitCode() }

// verify runs grove check, whose answer is wanted within reason.
func verify(dir string) error {
	bin, err := built()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, bin, "check", dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("grove check %s: %w\n%s", dir, err, out)
	}
	return nil
}

// tail keeps the last lines added to it.
type tail struct {
	mu    sync.Mutex
	lines []string
}

const tailMax = 1000

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == tailMax {
		t.lines = append(t.lines[:0], t.lines[tailMax/2:]...)
	}
	t.lines = append(t.lines, line)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}
