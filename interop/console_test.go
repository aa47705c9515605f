package interop

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// answerMax is how long a shell may take for one answer.
const answerMax = 20 * time.Second

// console is a conversation with a shell, written down in testdata:
//
//	== ROW            what follows belongs to a row of the table, which is done if all of it holds
//	> COMMAND         is typed
//	< PATTERN         a line like this comes after the command, or has; the order of several is free
//	once PATTERN      one line like this, not more, has come since the row began
//	never PATTERN     no line like this has come since the row began
//	restart           the server is restarted; what is awaited next comes after it
//	lacks ROW: WHY    the shell has no such operation
//
// Empty lines, and lines that begin with #, are for people.
type console struct {
	*scene
	shell *lines
	row   string
	since []string // lines since the row began
	asked int      // where in since the answers to the last command begin
}

func (s *scene) converse(script string, cmd *exec.Cmd) {
	s.t.Helper()
	f, err := os.Open(filepath.Join("testdata", script))
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	c := &console{scene: s, shell: start(s.t, cmd)}
	in := bufio.NewScanner(f)
	for in.Scan() {
		c.step(strings.TrimSpace(in.Text()))
	}
	c.close()
	if err := in.Err(); err != nil {
		s.t.Fatal(err)
	}
}

func (c *console) step(line string) {
	c.t.Helper()
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "", "#":
	case "==":
		c.close()
		c.row, c.since, c.asked = rest, nil, 0
	case ">":
		c.gather()
		c.asked = len(c.since)
		c.shell.tell(rest)
	case "<":
		c.expect(regexp.MustCompile(rest))
	case "once":
		c.count(rest, 1)
	case "never":
		c.count(rest, 0)
	case "restart":
		c.gather()
		c.asked = len(c.since)
		c.restart()
	case "lacks":
		row, why, _ := strings.Cut(rest, ": ")
		c.tick(c.t, row, cell{lacks: why})
	default:
		c.t.Fatalf("the conversation has a line %q", line)
	}
}

// close ends a row: all of it held, or the test would have ended.
func (c *console) close() {
	if c.row != "" {
		c.tick(c.t, c.row, cell{done: true})
	}
	c.row = ""
}

func (c *console) count(pattern string, want int) {
	c.t.Helper()
	c.gather()
	got, re := 0, regexp.MustCompile(pattern)
	for _, line := range c.since {
		if re.MatchString(line) {
			got++
		}
	}
	if got != want {
		c.t.Fatalf("%s: %d lines %q, want %d", c.row, got, pattern, want)
	}
}

// expect waits for a line among those since the last command.
func (c *console) expect(want *regexp.Regexp) {
	c.t.Helper()
	end := time.After(answerMax)
	for !slices.ContainsFunc(c.since[c.asked:], want.MatchString) {
		select {
		case line, open := <-c.shell.out:
			if !open {
				c.t.Fatalf("%s: the shell ended before it said %q", c.row, want)
			}
			c.since = append(c.since, line)
		case <-end:
			c.t.Fatalf("%s: no line %q", c.row, want)
		}
	}
}

// gather takes what has been said without waiting for more.
func (c *console) gather() {
	for {
		select {
		case line, open := <-c.shell.out:
			if open {
				c.since = append(c.since, line)
				continue
			}
		default:
		}
		return
	}
}
