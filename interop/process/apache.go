package process

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Apache is several servers of Apache ZooKeeper with their defaults, beyond what it takes to be compared:
// no HTTP server, as many connections from one address as there are, all four-letter words. It is
// for one goroutine.
type Apache struct {
	Settings []string // further lines of zoo.cfg; before Start
	Java     []string // further flags of java

	classpath string
	dir       string
	clients   []string
	peers     []string
	running   []*exec.Cmd
}

// ApacheClasspath returns what to run Apache ZooKeeper from: the jars of ZK_CLASSPATH, or those that
// Debian has put into jars. The error says what is missing.
func ApacheClasspath(env func(string) string, jars string) (string, error) {
	if _, err := exec.LookPath("java"); err != nil {
		return "", errors.New("there is no java: install default-jre-headless")
	}
	if path := env("ZK_CLASSPATH"); path != "" {
		return path, nil
	}
	list := []string{filepath.Join(jars, "zookeeper.jar"), filepath.Join(jars, "zookeeper-jute.jar")}
	for _, jar := range list {
		if _, err := os.Stat(jar); err != nil {
			return "", fmt.Errorf("there is no %s: install Debian's zookeeper, "+
				"or name the jars of a release in ZK_CLASSPATH", jar)
		}
	}
	for _, name := range []string{"slf4j-api", "slf4j-nop", "netty-*", "commons-cli", "metrics-core", "snappy-java",
		"jackson-*", "audience-annotations"} {
		found, err := filepath.Glob(filepath.Join(jars, name+".jar"))
		if err != nil {
			return "", err
		}
		list = append(list, found...)
	}
	return strings.Join(list, string(filepath.ListSeparator)), nil
}

// NewApache prepares n servers on loopback with directories below dir. Nothing is started.
func NewApache(classpath, dir string, n int) (*Apache, error) {
	a := &Apache{classpath: classpath, dir: dir, running: make([]*exec.Cmd, n)}
	for range n {
		client, err := FreeAddr(Loopback)
		if err != nil {
			return nil, err
		}
		quorum, err := FreeAddr(Loopback)
		if err != nil {
			return nil, err
		}
		election, err := FreeAddr(Loopback)
		if err != nil {
			return nil, err
		}
		_, port, _ := net.SplitHostPort(election)
		a.clients, a.peers = append(a.clients, client), append(a.peers, quorum+":"+port)
	}
	return a, nil
}

// Addrs lists where the servers listen for clients.
func (a *Apache) Addrs() []string { return a.clients }

// Pid returns the id of a server's process, and 0 without one.
func (a *Apache) Pid(i int) int {
	if a.running[i] == nil {
		return 0
	}
	return a.running[i].Process.Pid
}

// Start runs all servers and waits until each says what it is.
func (a *Apache) Start() error {
	for i := range a.clients {
		if err := a.StartOne(i); err != nil {
			return err
		}
	}
	for end := time.Now().Add(2 * readyMax); ; time.Sleep(50 * time.Millisecond) {
		var all []error
		for _, addr := range a.clients {
			_, err := Mode(addr)
			all = append(all, err)
		}
		err := errors.Join(all...)
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("start Apache ZooKeeper: %w", err)
		}
	}
}

// StartOne runs one server and does not wait for it.
func (a *Apache) StartOne(i int) error {
	dir := filepath.Join(a.dir, fmt.Sprint("zk", i+1))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "myid"), []byte(fmt.Sprintln(i+1)), 0o644); err != nil {
		return err
	}
	file := filepath.Join(dir, "zoo.cfg")
	if err := os.WriteFile(file, []byte(a.config(i, dir)), 0o644); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own handle
	args := append([]string{"-Xmx1g", "-Dzookeeper.extendedTypesEnabled=true"}, a.Java...)
	args = append(args, "-cp", a.classpath, "org.apache.zookeeper.server.quorum.QuorumPeerMain", file)
	cmd := exec.Command("java", args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start Apache ZooKeeper: %w", err)
	}
	a.running[i] = cmd
	return nil
}

func (a *Apache) config(i int, dir string) string {
	host, port, _ := net.SplitHostPort(a.clients[i])
	lines := []string{
		"tickTime=2000", "initLimit=10", "syncLimit=5", "dataDir=" + dir,
		"clientPortAddress=" + host, "clientPort=" + port,
		"admin.enableServer=false", "maxClientCnxns=0", "4lw.commands.whitelist=*",
	}
	for j, peer := range a.peers {
		if len(a.peers) > 1 {
			lines = append(lines, fmt.Sprintf("server.%d=%s", j+1, peer))
		}
	}
	return strings.Join(append(lines, a.Settings...), "\n") + "\n"
}

// KillOne ends a server as kill -9 does and waits until it is gone. Without a process it does nothing.
func (a *Apache) KillOne(i int) error {
	cmd := a.running[i]
	if cmd == nil {
		return nil
	}
	a.running[i] = nil
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return err
	}
	return nil
}

// Kill kills all servers that run.
func (a *Apache) Kill() error {
	var all []error
	for i := range a.running {
		all = append(all, a.KillOne(i))
	}
	return errors.Join(all...)
}
