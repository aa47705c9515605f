package interop

import (
	"os/exec"
	"strings"
)

// program runs a client that reports in lines:
//
//	did ROW             the row of the table is done
//	lacks ROW: WHY      the client has no such operation
//	failed ROW: WHY     it has, and the outcome is not what it should be
//	restart             the server is to be restarted; the answer is a line, restarted
//	done                the last line
//
// Other lines are for people.
func (s *scene) program(cmd *exec.Cmd) {
	s.t.Helper()
	p := start(s.t, cmd)
	for line := range p.out {
		verb, rest, _ := strings.Cut(line, " ")
		row, why, _ := strings.Cut(rest, ": ")
		switch verb {
		case "did":
			s.tick(s.t, rest, cell{done: true})
		case "lacks":
			s.tick(s.t, row, cell{lacks: why})
		case "failed":
			s.t.Errorf("%s: %s", row, why)
		case "restart":
			s.restart()
			p.tell("restarted")
		case "done":
			return
		}
	}
	s.t.Error("the client ended, or was ended, before it was done")
}
