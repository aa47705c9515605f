package member

import (
	"fmt"
	"strings"
)

// Request is what a client asks to be changed. Of null and empty strings it makes no difference.
type Request struct {
	Joining, Leaving string // incremental, with commas
	Members          string // the whole membership; if given, the two above do not count
	From             int64  // version that it was made for; -1: any
}

// Target returns the table that a request leads to. There must be at least votersMin participants in
// it: 2 for clients, as ZooKeeper has it by default; 1 for Grove's own command.
func (r Request) Target(now Table, votersMin int) (Table, error) {
	return Table{}, fmt.Errorf("not written yet")
}

// Incremental returns t without the servers named in leaving and with those of joining.
func Incremental(t Table, joining, leaving string) (Table, error) {
	return Table{}, fmt.Errorf("not written yet: %s", strings.TrimSpace(joining+leaving))
}

// Whole returns the table that newMembers gives.
func Whole(t Table, newMembers string) (Table, error) {
	return Table{}, fmt.Errorf("not written yet: %s", newMembers)
}
