package process

import (
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"time"
)

// wordMax is how long a server may take to answer a four-letter word.
const wordMax = 2 * time.Second

// Word asks a four-letter word.
func Word(addr, word string) (string, error) {
	nc, err := net.DialTimeout("tcp", addr, wordMax)
	if err != nil {
		return "", err
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(wordMax)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(nc, word); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(nc)
	return string(answer), err
}

var modeLine = regexp.MustCompile(`(?m)^Mode: (\S+)$`)

// Mode asks a server what it is: leader, follower, observer, standalone or read-only.
func Mode(addr string) (string, error) {
	text, err := Word(addr, "srvr")
	if err != nil {
		return "", err
	}
	m := modeLine.FindStringSubmatch(text)
	if m == nil {
		return "", fmt.Errorf("%s answers srvr with %.80q", addr, text)
	}
	return m[1], nil
}

// LeaderOf waits until exactly one of the servers says that it leads, and returns which.
func LeaderOf(addrs []string, within time.Duration) (int, error) {
	end := time.Now().Add(within)
	for {
		var leaders []int
		var all []error
		for i, addr := range addrs {
			mode, err := Mode(addr)
			if mode == "leader" {
				leaders = append(leaders, i)
			}
			all = append(all, err)
		}
		if len(leaders) == 1 {
			return leaders[0], nil
		}
		if time.Now().After(end) {
			return 0, fmt.Errorf("%d of %v lead after %v: %w", len(leaders), addrs, within, errors.Join(all...))
		}
		time.Sleep(20 * time.Millisecond)
	}
}
