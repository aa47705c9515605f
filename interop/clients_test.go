package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/grovekeeper/grove/interop/process"
)

// clientMax is how long one client may take for everything.
const clientMax = 90 * time.Second

// A client is how to run one client, and what it needs to be installed.
type client struct {
	name  string
	needs []need
	drive func(s *scene)
}

// clients are in the order of the columns.
var clients = []client{
	{"zkCli.sh", []need{asked, file(zkCli, "zookeeper"), command("java", "default-jre-headless")}, driveZkCli},
	{"Java", []need{asked, jar("zookeeper", "libzookeeper-java"), command("javac", "default-jdk-headless")}, driveJava},
	{"Curator", []need{asked, jar("curator-recipes", "libcurator-recipes-java"), command("javac", "default-jdk-headless")}, driveCurator},
	{"kazoo", []need{asked, python("kazoo", "python3-kazoo")}, driveKazoo},
	{"cli_mt", []need{asked, file(cliMT, "zookeeper-bin")}, driveCliMT},
	{"C", []need{asked, file(python3, "python3"), library("libzookeeper_mt.so.2", "libzookeeper-mt2")}, driveC},
	{"go-zk", nil, driveGo},
}

// A need returns what is missing, as the rest of a sentence, or nothing.
type need func() string

// asked keeps `go test ./...` to Go alone, whatever is installed.
func asked() string {
	if os.Getenv("GROVE_INTEROP") == "" {
		return "set GROVE_INTEROP=1 to run the clients that are not written in Go"
	}
	return ""
}

func file(path, pkg string) need {
	return func() string {
		if _, err := os.Stat(path); err != nil {
			return "there is no " + path + ": install Debian's " + pkg
		}
		return ""
	}
}

func jar(name, pkg string) need { return file(jars+name+".jar", pkg) }

func command(name, pkg string) need {
	return func() string {
		if _, err := exec.LookPath(name); err != nil {
			return "there is no " + name + ": install Debian's " + pkg
		}
		return ""
	}
}

func python(module, pkg string) need {
	return func() string {
		if err := exec.Command(python3, "-c", "import "+module).Run(); err != nil {
			return python3 + " has no module " + module + ": install Debian's " + pkg
		}
		return ""
	}
}

func library(name, pkg string) need {
	return func() string {
		if err := exec.Command(python3, "-c", "import ctypes; ctypes.CDLL('"+name+"')").Run(); err != nil {
			return "there is no " + name + ": install Debian's " + pkg
		}
		return ""
	}
}

func (c *client) lacks() string {
	for _, missing := range c.needs {
		if what := missing(); what != "" {
			return what
		}
	}
	return ""
}

// TestClients has every client do what it can, and prints who did what.
func TestClients(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers and foreign clients: not with -short")
	}
	binary, err := process.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	columns := make([]*column, len(clients))
	t.Run("each", func(t *testing.T) { // returns when all are done
		for i := range clients {
			c := &clients[i]
			columns[i] = &column{client: c.name}
			t.Run(c.name, func(t *testing.T) {
				if columns[i].skipped = c.lacks(); columns[i].skipped != "" {
					t.Skip(columns[i].skipped)
				}
				t.Parallel()
				c.drive(open(t, binary, "/"+strings.ToLower(strings.TrimSuffix(c.name, ".sh")), columns[i]))
				columns[i].finish(t)
			})
		}
	})
	var table strings.Builder
	printTable(&table, columns)
	t.Log("\n" + table.String())
}

// Where Debian has what is driven.
const (
	zkCli   = "/usr/share/zookeeper/bin/zkCli.sh"
	cliMT   = "/usr/lib/zookeeper/bin/cli_mt"
	python3 = "/usr/bin/python3"
	jars    = "/usr/share/java/"
)

// thrifty keeps a Java machine from compiling much and from taking a quarter of the memory.
var thrifty = []string{"-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"}

func driveZkCli(s *scene) {
	cmd := exec.Command(zkCli, "-server", s.addr)
	cmd.Env = append(os.Environ(), "CLIENT_JVMFLAGS="+strings.Join(thrifty, " "))
	s.converse("zkcli.txt", cmd)
}

func driveCliMT(s *scene) { s.converse("cli_mt.txt", exec.Command(cliMT, s.addr)) }

func driveKazoo(s *scene) {
	s.program(exec.Command(python3, "-u", "testdata/kazoo_client.py", s.addr, s.root))
}

func driveC(s *scene) { s.program(exec.Command(python3, "-u", "testdata/c_client.py", s.addr, s.root)) }

func driveJava(s *scene) { s.java("PlainClient", "zookeeper", "zookeeper-jute", "slf4j-api") }

func driveCurator(s *scene) {
	s.java("CuratorClient", "curator-recipes", "curator-framework", "curator-client",
		"zookeeper", "zookeeper-jute", "slf4j-api", "guava")
}

// java compiles and runs a program of testdata with some of Debian's jars.
func (s *scene) java(class string, names ...string) {
	s.t.Helper()
	var path []string
	for _, name := range names {
		path = append(path, jars+name+".jar")
	}
	into := s.t.TempDir()
	build := exec.Command("javac", "-nowarn", "-d", into, "-cp", strings.Join(path, string(filepath.ListSeparator)),
		"testdata/Report.java", "testdata/"+class+".java")
	if out, err := build.CombinedOutput(); err != nil {
		s.t.Fatalf("compile %s: %v\n%s", class, err, out)
	}
	path = append(path, into)
	args := append(append([]string(nil), thrifty...),
		"-cp", strings.Join(path, string(filepath.ListSeparator)), class, s.addr, s.root)
	s.program(exec.Command("java", args...))
}
