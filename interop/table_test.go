package interop

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// rows are what is tried with every client, in the order of the table.
var rows = []string{
	"create", "read", "update", "delete", "ephemeral", "sequential", "container", "TTL", "multi", "ACL",
	"one-shot watch", "persistent watch", "recursive watch", "session after a restart",
	"events missed meanwhile", "lock", "election", "cache",
}

// A column of the table is one client: what it did of each row.
type column struct {
	client  string
	skipped string          // why nothing was tried
	cells   map[string]cell // nil until the client is started
}

type cell struct {
	done  bool
	lacks string // why the client cannot do it; empty if it can
}

// tick notes a row. A row is noted once, and only if the table has it.
func (c *column) tick(t *testing.T, row string, what cell) {
	t.Helper()
	if _, twice := c.cells[row]; twice || !slices.Contains(rows, row) {
		t.Errorf("%s: row %q is noted twice or not in the table", c.client, row)
	}
	c.cells[row] = what
}

// finish fails for every row that was neither done nor said to be missing in the client.
func (c *column) finish(t *testing.T) {
	t.Helper()
	for _, row := range rows {
		if _, noted := c.cells[row]; !noted {
			t.Errorf("%s: nothing is known of %q", c.client, row)
		}
	}
}

// show says what stands in one cell; notes collects the footnotes.
func (c *column) show(row string, notes *[]string) string {
	what, noted := c.cells[row]
	switch {
	case c.skipped != "":
		return "skipped"
	case c.cells == nil:
		return "not run"
	case !noted:
		return "FAILED"
	case what.done:
		return "yes"
	}
	note := c.client + " " + what.lacks
	at := slices.Index(*notes, note)
	if at < 0 {
		at = len(*notes)
		*notes = append(*notes, note)
	}
	return fmt.Sprintf("no [%d]", at+1)
}

// printTable writes the table, a column a client, and under it why a client has not done what.
func printTable(w io.Writer, columns []*column) {
	var notes []string
	fmt.Fprintf(w, "%-24s", "")
	for _, c := range columns {
		fmt.Fprintf(w, " %-9s", c.client)
	}
	for _, row := range rows {
		fmt.Fprintf(w, "\n%-24s", row)
		for _, c := range columns {
			fmt.Fprintf(w, " %-9s", c.show(row, &notes))
		}
	}
	fmt.Fprintln(w)
	for i, note := range notes {
		fmt.Fprintf(w, "[%d] %s\n", i+1, note)
	}
	for _, c := range columns {
		if c.skipped != "" {
			fmt.Fprintf(w, "skipped: %s: %s\n", c.client, c.skipped)
		}
	}
}

func TestTheTableTellsWhatIsMissing(t *testing.T) {
	done := &column{client: "one", cells: map[string]cell{}}
	for _, row := range rows[1:] {
		done.tick(t, row, cell{done: true})
	}
	done.tick(t, rows[0], cell{lacks: "has no create"})
	done.finish(t)
	half := &column{client: "two", cells: map[string]cell{}}
	absent := &column{client: "three", skipped: "not installed", cells: map[string]cell{}}

	var out strings.Builder
	printTable(&out, []*column{done, half, absent})
	for _, want := range []string{
		"create                   no [1]    FAILED    skipped",
		"read                     yes       FAILED    skipped",
		"[1] one has no create",
		"skipped: three: not installed",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table has no line with %q:\n%s", want, out.String())
		}
	}
}
