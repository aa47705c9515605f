package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"grove": main})
}

// TestScripts runs the binary as a person would. Besides the usual commands of testscript there are
//
//	start NAME ARG…      starts "grove serve --client-addrs 127.0.0.1:0 ARG…" and waits until it is
//	                     ready; $NAME is then where clients connect, NAME.out and NAME.log what it says
//	finish NAME [INT]    ends it with SIGTERM, or SIGINT, and wants it to exit with 0
//	ask NAME WORD        asks a four-letter word; its answer is stdout
//	[!] get URL          fetches a page; its body is stdout, and its status wanted to be 200, or not
//
// $FREE is an address of this machine that nobody uses.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start": start, "finish": finish, "ask": ask, "get": get,
		},
		Setup: func(env *testscript.Env) error {
			env.Values[servers] = map[string]*process{}
			free, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			env.Setenv("FREE", free.Addr().String())
			return free.Close()
		},
	})
}

const (
	servers  = "servers"
	patience = 20 * time.Second // far more than anything here takes
)

type process struct {
	cmd   *exec.Cmd
	ended chan error
}

func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: start NAME ARG…")
	}
	name := args[0]
	cmd := exec.Command(lookPath(ts, "grove"), append([]string{"serve", "--client-addrs", "127.0.0.1:0"}, args[1:]...)...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), environ(ts)
	log, err := os.Create(ts.MkAbs(name + ".log"))
	ts.Check(err)
	defer log.Close()
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	cmd.Stderr = log
	ts.Check(cmd.Start())
	p := &process{cmd: cmd, ended: make(chan error, 1)}
	ts.Value(servers).(map[string]*process)[name] = p
	ts.Defer(func() { cmd.Process.Kill() })

	said := make(chan string, 1)
	go func() {
		lines := bufio.NewReader(out)
		first, _ := lines.ReadString('\n')
		said <- first
		rest, _ := io.ReadAll(lines)
		os.WriteFile(ts.MkAbs(name+".out"), append([]byte(first), rest...), 0o644)
		p.ended <- cmd.Wait()
	}()
	select {
	case line := <-said:
		ts.Setenv(name, clientAddr(ts, line))
	case <-time.After(patience):
		ts.Fatalf("%s is not ready after %v", name, patience)
	}
}

var readyForm = regexp.MustCompile(`^grove \S+ is ready: clients on (127\.0\.0\.1:\d+)`)

func clientAddr(ts *testscript.TestScript, line string) string {
	m := readyForm.FindStringSubmatch(line)
	if m == nil {
		ts.Fatalf("not the ready line: %q", line)
	}
	return m[1]
}

func lookPath(ts *testscript.TestScript, name string) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if path := filepath.Join(dir, name); exists(path) {
			return path
		}
	}
	ts.Fatalf("no %s in the path", name)
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func environ(ts *testscript.TestScript) []string {
	env := []string{"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.Getenv("HOME")}
	for _, s := range (&settings{}).rows() {
		if value := ts.Getenv(s.env()); value != "" {
			env = append(env, s.env()+"="+value)
		}
	}
	return env
}

func finish(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: finish NAME [INT]")
	}
	signal := syscall.SIGTERM
	if len(args) == 2 && args[1] == "INT" {
		signal = syscall.SIGINT
	}
	p := ts.Value(servers).(map[string]*process)[args[0]]
	if p == nil {
		ts.Fatalf("no server %s", args[0])
	}
	ts.Check(p.cmd.Process.Signal(signal))
	select {
	case err := <-p.ended:
		if err != nil {
			ts.Fatalf("%s ended with %v", args[0], err)
		}
	case <-time.After(patience):
		ts.Fatalf("%s still runs %v after the signal", args[0], patience)
	}
}

func ask(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ask NAME WORD")
	}
	c, err := net.DialTimeout("tcp", ts.Getenv(args[0]), patience)
	ts.Check(err)
	defer c.Close()
	ts.Check(c.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(c, args[1])
	ts.Check(err)
	answer, err := io.ReadAll(c)
	ts.Check(err)
	fmt.Fprint(ts.Stdout(), string(answer))
}

func get(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: get URL")
	}
	client := http.Client{Timeout: patience}
	response, err := client.Get(args[0])
	ts.Check(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	ts.Check(err)
	if ok := response.StatusCode == http.StatusOK; ok == neg {
		ts.Fatalf("%s: %s", response.Status, body)
	}
	fmt.Fprint(ts.Stdout(), string(body))
}
