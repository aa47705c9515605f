//go:build bugbank

package sim

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/grovekeeper/grove/internal/bug"
)

// planted says who must notice a bug: the simulator, within so many seeds, or the named tests of a
// package.
type planted struct {
	name  bug.Name
	seeds int
	room  string
	tests string
}

// TestBugBank holds the tests to the bugs they claim to see. One bug is picked with GROVE_BUGS.
func TestBugBank(t *testing.T) {
	if os.Getenv("GROVE_BUG") != "" {
		t.Skip("a bug is alive here")
	}
	for _, p := range bank {
		t.Run(string(p.name), func(t *testing.T) {
			begun := time.Now()
			said, err := p.run()
			took := time.Since(begun).Round(100 * time.Millisecond)
			if err == nil {
				t.Errorf("nobody noticed, in %v:\n%s", took, said)
				return
			}
			t.Logf("noticed in %v: %s", took, firstOf(said))
		})
	}
}

// run returns an error if the bug was noticed.
func (p *planted) run() (said string, err error) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestSeeds$", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), fmt.Sprint("GROVE_SIM_SEEDS=", p.seeds), "GROVE_SIM_SEED=1", "GROVE_SIM_PROCS=1")
	if p.seeds == 0 {
		cmd = exec.Command("go", "test", "-tags", "bugbank", "-run", p.tests, "./"+p.room)
		cmd.Dir, cmd.Env = filepath.Join("..", ".."), os.Environ()
	}
	cmd.Env = append(cmd.Env, "GROVE_BUG="+string(p.name))
	out, err := cmd.CombinedOutput()
	if err != nil && strings.Contains(string(out), "[build failed]") {
		return string(out), nil
	}
	return string(out), err
}

// firstOf returns the line that says what was noticed.
func firstOf(said string) string {
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		if strings.Contains(line, "_test.go:") || strings.HasPrefix(line, "panic:") {
			return line
		}
	}
	return ""
}

// bank lists every bug of package bug, in its order.
var bank = []planted{
	{name: bug.AckBeforeFlush, seeds: 50},
	{name: bug.VoteNotFlushed, seeds: 50},
	{name: bug.FlushErrorIgnored, seeds: 50},
	{name: bug.TornTailKept, room: "server/wal", tests: "TestTornBatchStaysGone"},
	{name: bug.SegmentNotNamed, seeds: 600},
	{name: bug.WatermarkIgnored, room: "server/wal", tests: "TestFiles"},
	{name: bug.ResetForgetsHard, room: "server/wal", tests: "TestPowerCut"},
	{name: bug.AckBeforeWrite, seeds: 50},
	{name: bug.ReadUnconfirmed, seeds: 1500},
	{name: bug.HeldOutlivesTerm, room: "server/replica", tests: "TestProposalsAreOfATerm"},
	{name: bug.ReadMarkReused, room: "server/replica", tests: "TestStorm"},
	{name: bug.OldMembership, seeds: 50},
	{name: bug.LogBeforeImage, seeds: 2000},
	{name: bug.ReadyEarly, seeds: 1500},
	{name: bug.FrameUnchecked, room: "server/peer", tests: "TestEveryWrongBitIsSeen"},
	{name: bug.ListNotAsked, room: "server/feed", tests: "TestEventsAreToldToWhoMayRead"},
	{name: bug.SwapBeforeFire, room: "server/feed", tests: "TestAReaderThatSeesAZxidHoldsItsEvents"},
	{name: bug.ResendFromEnd, seeds: 300},
	{name: bug.ResendShuffled, seeds: 50},
	{name: bug.SyncLocal, seeds: 50},
	{name: bug.InstallSilent, seeds: 1500},
	{name: bug.InstallForgets, seeds: 1000},
	{name: bug.BarrierEarly, seeds: 50},
	{name: bug.MovedStays, seeds: 50},
	{name: bug.DroppedIgnored, room: "server/front", tests: "TestNothingIsShownWithoutTheEventsThatWereDropped"},
	{name: bug.EpochUnchecked, seeds: 300},
	{name: bug.OriginForgotten, seeds: 50},
	{name: bug.GapAccepted, seeds: 1000},
	{name: bug.MultiHalf, seeds: 50},
	{name: bug.EphemeralStays, seeds: 50},
	{name: bug.SessionReopened, seeds: 50},
	{name: bug.OriginNotInImage, seeds: 50},
	{name: bug.PasswordUnchecked, room: "session", tests: "TestFencing"},
	{name: bug.SequenceByCount, seeds: 50},
	{name: bug.PzxidKept, seeds: 50},
	{name: bug.FiresTwice, seeds: 50},
	{name: bug.ChildrenNotTold, seeds: 50},
	{name: bug.MissedInclusive, seeds: 3000},
	{name: bug.NoGrace, seeds: 50},
	{name: bug.TouchIgnored, seeds: 50},
	{name: bug.PauseCounts, seeds: 1500},
}

// TestEveryBugIsInTheBank looks at the list itself.
func TestEveryBugIsInTheBank(t *testing.T) {
	source, err := os.ReadFile(filepath.Join("..", "bug", "names.go"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "design", "testing.md"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), " Name = "); n != len(bank) {
		t.Errorf("%d bugs have a name, %d are in the bank", n, len(bank))
	}
	for _, p := range bank {
		if !strings.Contains(string(page), "`"+string(p.name)+"`") {
			t.Errorf("docs/design/testing.md does not tell of %s", p.name)
		}
	}
}
