package sim

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A run makes much garbage and holds little.
func TestMain(m *testing.M) {
	debug.SetGCPercent(800)
	os.Exit(m.Run())
}

// TestSeeds plays seeds. Which ones the environment says:
//
//	GROVE_SIM_SEED   the first; 1 if it is not set
//	GROVE_SIM_SEEDS  how many; 100 if it is not set
//	GROVE_SIM_FAULTS the only kinds of trouble that a seed may have, with commas between; to find out
//	                 which of them a failure needs. Those with a plus it has in any case
//	GROVE_SIM_LONGER how many times longer than else; 1 if it is not set
//	GROVE_SIM_PROCS  by how many processes; 1 if it is not set. Raft's chance belongs to the whole
//	                 process, so one plays its seeds one after the other
//
// A seed that goes wrong is played again by the command that is printed with it.
func TestSeeds(t *testing.T) {
	first, count := setting("GROVE_SIM_SEED", 1), setting("GROVE_SIM_SEEDS", 100)
	if os.Getenv("GROVE_SIM_SEEDS") == "" && (testing.Short() || raceDetector) {
		count = 20
	}
	if procs := setting("GROVE_SIM_PROCS", 1); procs > 1 {
		fork(t, first, count, procs)
		return
	}
	faults := only(os.Getenv("GROVE_SIM_FAULTS"))
	changed := func(o *options) {
		o.length *= int64(setting("GROVE_SIM_LONGER", 1))
		if faults != nil {
			faults(o)
		}
	}
	var total report
	begun, failed := time.Now(), 0
	for seed := first; seed < first+count; seed++ {
		r := run(t, seed, changed)
		if r.broken != nil {
			failed++
			t.Error(r.failure())
			if failed == 10 || os.Getenv("GROVE_BUG") != "" {
				t.Fatal("that is enough")
			}
		}
		total.steps += r.steps
		total.agreed += r.agreed
		for i := range r.marks {
			total.marks[i] += r.marks[i]
		}
		if count == 1 {
			t.Logf("%v\n%s", r.opt, r.last)
		}
	}
	t.Logf("%d seeds in %v: %d steps, %d entries agreed; %s",
		count, time.Since(begun).Round(time.Millisecond), total.steps, total.agreed, total.counted())
	for i, n := range total.marks {
		if n == 0 && count >= 500 {
			t.Errorf("no %s: the storm was a breeze", markNames[i])
		}
	}
}

// fork lets other processes play the seeds, each its part.
func fork(t *testing.T, first, count, procs uint64) {
	type child struct {
		*exec.Cmd
		said bytes.Buffer
	}
	children := make([]*child, procs)
	for i := range children {
		from := first + count*uint64(i)/procs
		to := first + count*uint64(i+1)/procs
		c := &child{Cmd: exec.Command(os.Args[0], "-test.run=^TestSeeds$", "-test.v", "-test.timeout=0")}
		c.Env = append(os.Environ(), "GROVE_SIM_PROCS=1", "GOMAXPROCS=2",
			fmt.Sprint("GROVE_SIM_SEED=", from), fmt.Sprint("GROVE_SIM_SEEDS=", to-from))
		c.Stdout, c.Stderr = &c.said, &c.said
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		children[i] = c
	}
	for _, c := range children {
		if err := c.Wait(); err != nil {
			t.Errorf("%v\n%s", err, &c.said)
		} else {
			t.Logf("%s", &c.said)
		}
	}
}

// only returns a change that leaves a seed no other kinds of trouble than those named, and gives it
// those that are named with a plus.
func only(names string) func(*options) {
	if names == "" {
		return nil
	}
	var kept, added fault
	for one := range strings.SplitSeq(names, ",") {
		name, plus := strings.CutPrefix(one, "+")
		i := slices.Index(faultNames[:], name)
		switch {
		case i < 0:
			panic("no such trouble: " + name)
		case plus:
			added |= 1 << i
		default:
			kept |= 1 << i
		}
	}
	if kept == 0 {
		kept = faultsEnd - 1
	}
	return func(o *options) {
		o.faults = o.faults&kept | added
		o.flawless = o.flawless && added == 0
	}
}

func setting(name string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}

// failure says what went wrong, and how to see it again.
func (r *report) failure() string {
	return fmt.Sprintf("%s: %s\n%s\nseed %d: %v\n"+
		"again: GROVE_SIM_SEED=%d GROVE_SIM_SEEDS=1 go test -v -run TestSeeds ./internal/sim",
		r.broken.law, r.broken.text, r.last, r.seed, r.opt, r.seed)
}

func (r *report) counted() string {
	var list []string
	for i, n := range r.marks {
		list = append(list, fmt.Sprintf("%d %s", n, markNames[i]))
	}
	return strings.Join(list, ", ")
}

// TestASeedAlwaysPlaysTheSame is what all else stands on.
func TestASeedAlwaysPlaysTheSame(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		a, b := run(t, seed, nil), run(t, seed, nil)
		if a.hash != b.hash || a.steps != b.steps {
			t.Errorf("seed %d: %d steps with hash %x, then %d with %x", seed, a.steps, a.hash, b.steps, b.hash)
		}
	}
}
