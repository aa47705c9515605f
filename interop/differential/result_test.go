package differential

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// result is what one run of zkdiff has printed.
type result struct {
	tried, same int
	differences []difference
}

// difference is the first step of a script on which two servers do not agree.
type difference struct {
	seed     string
	script   []string // what the reference answered up to there
	ref, got string   // the line in which they differ
}

func (d difference) String() string {
	return fmt.Sprintf("seed %s, after\n\t%s\nreference\n\t%s\nGrove\n\t%s", d.seed,
		strings.Join(d.script[max(0, len(d.script)-4):], "\n\t"), d.ref, d.got)
}

var (
	seedLine = regexp.MustCompile(`^seed (\d+), line (\d+)$`)
	lastLine = regexp.MustCompile(`^(\d+) of (\d+) scripts identical`)
	errShort = errors.New("the output ends before the summary")
)

// parse reads the output of zkdiff -dump: the transcript of each script, after it the difference if there
// is one, and in the end a summary.
//
//	s0: connect -> …
//	s1: connect -> …
//	s2: connect -> …
//	s0: root -> ok /zkdiff-7     the fourth line of every script
//	…
//	seed 7, line 47
//	      …                      the lines before it once more
//	  ref  …
//	  got  …
func parse(out string) (result, error) {
	var r result
	lines := strings.Split(out, "\n")
	begin := 0 // of the script
	for i, line := range lines {
		if strings.HasPrefix(line, "s0: root -> ok ") {
			begin = i - 3
		}
		if m := lastLine.FindStringSubmatch(line); m != nil {
			_, err := fmt.Sscan(m[1]+" "+m[2], &r.same, &r.tried)
			if err == nil && r.same+len(r.differences) != r.tried {
				err = fmt.Errorf("%d identical and %d different scripts of %d", r.same, len(r.differences), r.tried)
			}
			return r, err
		}
		if m := seedLine.FindStringSubmatch(line); m != nil {
			d, err := readDifference(m[1], m[2], lines[begin:i], lines[i+1:])
			if err != nil {
				return r, err
			}
			r.differences = append(r.differences, d)
		}
	}
	return r, errShort
}

func readDifference(seed, at string, script, rest []string) (difference, error) {
	d := difference{seed: seed}
	n := 0
	if _, err := fmt.Sscan(at, &n); err != nil || n > len(script) {
		return d, fmt.Errorf("seed %s: line %s of a script of %d", seed, at, len(script))
	}
	d.script = script[:n]
	for _, line := range rest {
		if ref, ok := strings.CutPrefix(line, "  ref  "); ok {
			d.ref = ref
		}
		if got, ok := strings.CutPrefix(line, "  got  "); ok {
			d.got = got
			return d, nil
		}
	}
	return d, errShort
}

func TestParseFindsScriptAndDifference(t *testing.T) {
	out := `s0: connect -> ok
s1: connect -> ok
s2: connect -> ok
s0: root -> ok /zkdiff-1
s0: close -> ok
s0: connect -> ok
s1: connect -> ok
s2: connect -> ok
s0: root -> ok /zkdiff-2
s1: exists "/zkdiff-2/a" w=false -> ok {}
s0: close -> ok
seed 2, line 5
      s2: connect -> ok
  ref  s1: exists "/zkdiff-2/a" w=false -> ok {}
  got  s1: exists "/zkdiff-2/a" w=false -> err=-102
coverage 1 close ok
first differences by kind: map[exists:1]
1 of 2 scripts identical, 10 steps agreed
`
	r, err := parse(out)
	if err != nil || r.tried != 2 || r.same != 1 || len(r.differences) != 1 {
		t.Fatalf("result %+v, error %v", r, err)
	}
	d := r.differences[0]
	if d.seed != "2" || len(d.script) != 5 || d.script[3] != "s0: root -> ok /zkdiff-2" || !strings.HasSuffix(d.got, "err=-102") {
		t.Errorf("difference %+v", d)
	}
	if _, err := parse(out[:len(out)/2]); err != errShort {
		t.Errorf("half of an output: error %v, want %v", err, errShort)
	}
}
