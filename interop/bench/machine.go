package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

// machine says in one line what the figures were measured on. What the system does not tell is left out.
func machine() string {
	facts := []string{fmt.Sprintf("%d cores", runtime.NumCPU())}
	add := func(file, pattern, format string) {
		text, err := os.ReadFile(file)
		if err != nil {
			return
		}
		if m := regexp.MustCompile(pattern).FindSubmatch(text); m != nil {
			facts = append(facts, fmt.Sprintf(format, m[1]))
		}
	}
	add("/proc/cpuinfo", `model name\s*: (.*)`, "%s")
	add("/proc/meminfo", `MemTotal:\s*(\d+) kB`, "%s kB of memory")
	add("/proc/sys/kernel/osrelease", `(\S+)`, "Linux %s")
	facts = append(facts, runtime.Version()+" "+runtime.GOOS+"/"+runtime.GOARCH)
	add("/proc/loadavg", `(\S+)`, "load average %s before the run")
	return strings.Join(facts, ", ")
}

const syncs = 200 // of the disk, to know how long one takes

// syncTime returns how long the disk of dir takes to make one small record durable: no set that
// waits for it can be faster, whoever asks. It is the median of many.
func syncTime(dir string) (time.Duration, error) {
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	record := make([]byte, 512)
	took := make([]time.Duration, syncs)
	for i := range took {
		begun := time.Now()
		if _, err := f.Write(record); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		took[i] = time.Since(begun)
	}
	slices.Sort(took)
	return quantile(took, .5), nil
}
