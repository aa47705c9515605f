package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// foreignLoad runs zkload, a program that shares no code with this module, and takes its figures.
func (b *bench) foreignLoad(ctx context.Context, name string, s server) error {
	var phases []string
	for _, p := range (workload{}).phases() {
		phases = append(phases, p.name)
	}
	limit := time.Duration(len(phases))*(b.plan.dur+patience) + patience
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.plan.zkload, "-addrs", s.Addr(), "-dur", b.plan.dur.String(),
		"-conns", strconv.Itoa(b.plan.conns), "-depth", strconv.Itoa(b.plan.depth),
		"-size", strconv.Itoa(b.plan.size), "-keys", strconv.Itoa(b.plan.keys), "-phases", strings.Join(phases, ","))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", b.plan.zkload, err, stderr.Bytes())
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	n := 0
	for ; lines.Scan(); n++ {
		l, err := parseLine(lines.Text())
		if err != nil {
			return err
		}
		if l.errs > 0 {
			return fmt.Errorf("%s: %d requests failed", l.phase, l.errs)
		}
		b.phase(name, l)
	}
	if n != len(phases) {
		return fmt.Errorf("%s printed %d phases of %d", b.plan.zkload, n, len(phases))
	}
	return nil
}
