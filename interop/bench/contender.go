package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/grovekeeper/grove/interop/process"
)

// The contenders, as the columns are headed.
const (
	grove     = "Grove"
	zooKeeper = "Apache ZooKeeper"
)

// contender is one kind of server. It has no state beyond what it needs to start.
type contender struct {
	name string
	make func(dir string) (server, error) // a server with an empty directory; not started
}

// server is one directory and at most one process on it.
type server interface {
	Start() error // the process may not be ready yet
	Addr() string // of the process started last; of several servers all, with commas
	Pid() int
	Kill() error                           // as kill -9 does; waits until the process is gone
	Checkpoints() ([]time.Duration, error) // those written so far; the time each took, or zero if unknown
}

// groveServer is Grove with its defaults, but for as many connections from one address as there are.
type groveServer struct {
	process.Server
	addr string
}

func newGrove(binary string) contender {
	return contender{grove, func(dir string) (server, error) {
		addr, err := freeAddr()
		return &groveServer{process.Server{
			Binary: binary, Dir: filepath.Join(dir, "data"), Flags: []string{"--connections-per-address-max", "0"},
		}, addr}, err
	}}
}

func (g *groveServer) Start() error { return g.Server.Start(g.addr) }
func (g *groveServer) Addr() string { return g.addr }

func (g *groveServer) Checkpoints() ([]time.Duration, error) {
	log, err := os.ReadFile(g.Dir + ".log")
	if err != nil {
		return nil, err
	}
	return checkpoints(bytes.NewReader(log))
}

// apache is a standalone Apache ZooKeeper with its defaults, beyond what it takes to be compared: no
// HTTP server, and as many connections from one address as there are.
type apache struct {
	java      string
	classpath string
	dir       string
	addr      string
	running   *exec.Cmd
}

// newApache returns a server of Apache ZooKeeper.
func newApache(classpath string) contender {
	return contender{zooKeeper, func(dir string) (server, error) {
		addr, err := freeAddr()
		return &apache{java: "java", classpath: classpath, dir: dir, addr: addr}, err
	}}
}

// heapMax is that of the tool which the project's goals were set with.
const heapMax = "-Xmx1g"

func (a *apache) Start() error {
	host, port, err := net.SplitHostPort(a.addr)
	if err != nil {
		return err
	}
	settings := fmt.Sprintf("tickTime=2000\ndataDir=%s\nclientPortAddress=%s\nclientPort=%s\n"+
		"maxClientCnxns=0\nadmin.enableServer=false\n", filepath.Join(a.dir, "data"), host, port)
	file := filepath.Join(a.dir, "zoo.cfg")
	if err := os.WriteFile(file, []byte(settings), 0o644); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(a.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own handle
	cmd := exec.Command(a.java, heapMax, "-cp", a.classpath, "org.apache.zookeeper.server.quorum.QuorumPeerMain", file)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", zooKeeper, err)
	}
	a.running = cmd
	return nil
}

func (a *apache) Addr() string { return a.addr }
func (a *apache) Pid() int     { return a.running.Process.Pid }

func (a *apache) Kill() error {
	if a.running == nil {
		return nil
	}
	cmd := a.running
	a.running = nil
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return err
	}
	return nil
}

// Checkpoints counts the snapshots, which ZooKeeper keeps. How long they took it does not tell.
func (a *apache) Checkpoints() ([]time.Duration, error) {
	found, err := filepath.Glob(filepath.Join(a.dir, "data", "version-2", "snapshot.*"))
	return make([]time.Duration, len(found)), err
}

// freeAddr returns an address on loopback that nobody listens on now.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

const (
	startMax = 2 * time.Minute      // until a server answers
	startGap = 2 * time.Millisecond // between two tries

	// A try gets this long: a server that is still loading may take a connection and never answer it.
	startTry = 500 * time.Millisecond
)

// start runs a process and returns when a first handshake is answered, and how long that took.
func start(ctx context.Context, s server) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, startMax)
	defer cancel()
	begun := time.Now()
	if err := s.Start(); err != nil {
		return 0, err
	}
	for {
		c, err := dial(ctx, nth(s.Addr(), 0), startTry)
		took := time.Since(begun)
		if err == nil {
			c.close()
			return took, nil
		}
		select {
		case <-time.After(startGap):
		case <-ctx.Done():
			return 0, errors.Join(fmt.Errorf("no handshake within %v: %w", took, err), ctx.Err())
		}
	}
}

var versionLine = regexp.MustCompile(`(?i)^zookeeper version: ([0-9][0-9.]*)`)

// version asks a running server for its version, as an operator would.
func version(addr string) (string, error) {
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return "", err
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := nc.Write([]byte("srvr")); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(nc)
	if err != nil {
		return "", err
	}
	m := versionLine.FindSubmatch(answer)
	if m == nil {
		return "", fmt.Errorf("srvr answers without a version: %.60q", answer)
	}
	return string(m[1]), nil
}

// memoryMiB returns a field of /proc/PID/status in MiB.
func memoryMiB(pid int, field string) (float64, error) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, err
	}
	kib, err := statusKiB(string(status), field)
	return float64(kib) / 1024, err
}
