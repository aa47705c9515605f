package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sheet holds what was measured: for each row and contender, one figure a round.
type sheet map[string]map[string][]float64

func (s sheet) add(row, contender string, value float64) {
	if s[row] == nil {
		s[row] = map[string][]float64{}
	}
	s[row][contender] = append(s[row][contender], value)
}

// median returns the middle value, or the mean of the two in the middle; NaN of nothing.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// quantile returns the value at or below which the given share of sorted lies; zero of nothing.
func quantile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(share*float64(len(sorted)-1))]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// steadiness is the mean of the whole seconds of a load, and the worst of them.
func steadiness(seconds []int) (mean, worst float64) {
	if len(seconds) == 0 {
		return math.NaN(), math.NaN()
	}
	sum := 0
	for _, n := range seconds {
		sum += n
	}
	return float64(sum) / float64(len(seconds)), float64(slices.Min(seconds))
}

// line is one phase as zkload prints it.
type line struct {
	phase    string
	rate     float64 // operations a second
	errs     int
	p50, p99 float64 // ms
}

var zkloadLine = regexp.MustCompile(`^(\w+)\s+ops/s=([\d.]+)\s+errs=(\d+)\s+p50=([\d.]+)ms\s+p99=([\d.]+)ms`)

var errNoLine = errors.New("no phase of zkload")

// parseLine reads one line of zkload.
func parseLine(text string) (line, error) {
	m := zkloadLine.FindStringSubmatch(text)
	if m == nil {
		return line{}, fmt.Errorf("%w: %q", errNoLine, text)
	}
	var bad error
	number := func(s string) float64 {
		v, err := strconv.ParseFloat(s, 64)
		bad = errors.Join(bad, err)
		return v
	}
	l := line{phase: m[1], rate: number(m[2]), p50: number(m[4]), p99: number(m[5])}
	l.errs = int(number(m[3]))
	return l, bad
}

// statusKiB reads one field of /proc/PID/status, such as VmRSS or VmHWM.
func statusKiB(status, field string) (int, error) {
	for l := range strings.Lines(status) {
		name, value, ok := strings.Cut(l, ":")
		if ok && name == field {
			return strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		}
	}
	return 0, fmt.Errorf("/proc/PID/status has no %s", field)
}

var checkpointLine = regexp.MustCompile(`msg="checkpoint written".* took=(\S+)`)

// checkpoints lists how long each checkpoint took that a log of Grove tells of.
func checkpoints(log io.Reader) ([]time.Duration, error) {
	var took []time.Duration
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		m := checkpointLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		d, err := time.ParseDuration(m[1])
		if err != nil {
			return nil, fmt.Errorf("checkpoint in the log: %w", err)
		}
		took = append(took, d)
	}
	return took, lines.Err()
}
