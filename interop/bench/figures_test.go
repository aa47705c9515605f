package main

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{7}, 7},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 2, 9}, 3},
	} {
		given := slices.Clone(c.values)
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.values, got, c.want)
		}
		if !slices.Equal(given, c.values) {
			t.Errorf("%v became %v", given, c.values)
		}
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("median of nothing is %v", got)
	}
}

func TestQuantile(t *testing.T) {
	hundred := make([]time.Duration, 101)
	for i := range hundred {
		hundred[i] = time.Duration(i)
	}
	for share, want := range map[float64]time.Duration{0: 0, .5: 50, .99: 99, 1: 100} {
		if got := quantile(hundred, share); got != want {
			t.Errorf("%v of 0 to 100 is %v, want %v", share, got, want)
		}
	}
	if got := quantile(nil, .5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

func TestSteadiness(t *testing.T) {
	mean, worst := steadiness([]int{100, 40, 160})
	if mean != 100 || worst != 40 {
		t.Errorf("mean %v, worst %v", mean, worst)
	}
	if mean, worst := steadiness(nil); !math.IsNaN(mean) || !math.IsNaN(worst) {
		t.Errorf("of nothing: mean %v, worst %v", mean, worst)
	}
}

// A reply counts in the second in which it arrived, and the second in which the load ends in none.
func TestMergeCountsWholeSeconds(t *testing.T) {
	var a, b tally
	a.count(100*time.Millisecond, 3)
	a.count(1900*time.Millisecond, 4)
	b.count(1000*time.Millisecond, 5)
	b.count(2001*time.Millisecond, 6)
	a.latencies, b.latencies = []time.Duration{9, 1}, []time.Duration{5}
	o := merge([]tally{a, b}, 2100*time.Millisecond, 2*time.Second)
	if want := []int{3, 9}; !slices.Equal(o.seconds, want) {
		t.Errorf("seconds %v, want %v", o.seconds, want)
	}
	if want := []time.Duration{1, 5, 9}; !slices.Equal(o.latencies, want) || o.ops != 3 {
		t.Errorf("latencies %v, want %v; ops %d", o.latencies, want, o.ops)
	}
	if short := merge([]tally{a}, 900*time.Millisecond, time.Minute); len(short.seconds) != 0 {
		t.Errorf("of 0.9 s: %v", short.seconds)
	}
}

func TestParseLine(t *testing.T) {
	got, err := parseLine("set1               ops/s=5340      errs=2 p50=0.17ms p99=0.61ms p999=2.10ms max=9.00ms n=26700")
	if want := (line{"set1", 5340, 2, .17, .61}); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for _, text := range []string{
		"", "fill               znodes=10 in 0.10s", "set ops/s= errs=0 p50=1ms p99=1ms", "zkload: session refused",
		"set                ops/s=1.2.3 errs=0 p50=1.00ms p99=1.00ms",
	} {
		if l, err := parseLine(text); err == nil {
			t.Errorf("%q is taken for %+v", text, l)
		} else if !strings.Contains(text, "1.2.3") && !errors.Is(err, errNoLine) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestStatus(t *testing.T) {
	const status = "Name:\tgrove\nVmHWM:\t  307204 kB\nVmRSS:\t  204800 kB\nThreads:\t9\n"
	for field, want := range map[string]int{"VmRSS": 204800, "VmHWM": 307204} {
		if got, err := statusKiB(status, field); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", field, got, err, want)
		}
	}
	if _, err := statusKiB(status, "VmSwap"); err == nil {
		t.Error("a field that is not there is found")
	}
	if _, err := statusKiB("VmRSS:\tmany kB\n", "VmRSS"); err == nil {
		t.Error("many is a number")
	}
}

func TestCheckpoints(t *testing.T) {
	const log = `time=2026-01-02T03:04:05Z level=INFO msg="checkpoint written" zxid=100012 took=152.5ms
time=2026-01-02T03:04:06Z level=INFO msg="server closed"
time=2026-01-02T03:04:07Z level=ERROR msg="checkpoint not written: no room" zxid=5 took=1s
time=2026-01-02T03:04:08Z level=INFO msg="checkpoint written" zxid=200013 took=1.2s
`
	got, err := checkpoints(strings.NewReader(log))
	if want := []time.Duration{152500 * time.Microsecond, 1200 * time.Millisecond}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	if _, err := checkpoints(strings.NewReader(`msg="checkpoint written" took=soon`)); err == nil {
		t.Error("soon is a duration")
	}
}

func TestTable(t *testing.T) {
	s := sheet{}
	for _, v := range []float64{3000, 1000, 2000} {
		s.add("set", zooKeeper, v)
		s.add("set", grove, 4*v)
	}
	s.add("share", grove, .913)
	rows := []row{
		{"set", "set", thousands, "≥ 3", true},
		{"share", "worst", percent, "≥ 80 %", false},
		{"lost", "not measured", decimals, "", true},
	}
	want := `| | Apache ZooKeeper | Grove | ratio | goal |
|---|---:|---:|---:|---:|
| set | 2,000 | 8,000 | 4.00 | ≥ 3 |
| worst | – | 91 % | – | ≥ 80 % |
| not measured | – | – | – |  |
`
	if got := table(s, []string{zooKeeper, grove}, rows); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	alone := "| | Grove | goal |\n|---|---:|---:|\n| set | 8,000 | ≥ 3 |\n"
	if got := table(s, []string{grove}, rows[:1]); got != alone {
		t.Errorf("got\n%s\nwant\n%s", got, alone)
	}
}

func TestThousands(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 999.4: "999", 999.5: "1,000", 12345: "12,345", 1234567: "1,234,567", -1000: "-1,000",
	} {
		if got := thousands(v); got != want {
			t.Errorf("%v is %s, want %s", v, got, want)
		}
	}
}
