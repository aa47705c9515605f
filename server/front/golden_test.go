package front_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"unicode"
)

// TestGoldenFrames replays what a client and an Apache ZooKeeper 3.9.5 said to one another, byte for
// byte, from a fresh start. A byte that cannot be the same, because it is a time, a session or a
// password, is written as two underscores.
func TestGoldenFrames(t *testing.T) {
	text, err := os.ReadFile("testdata/frames.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, dialogue := range strings.Split(string(text), "\n\n") {
		name, frames, _ := strings.Cut(strings.TrimSpace(dialogue), "\n")
		t.Run(strings.Trim(name, "# "), func(t *testing.T) {
			replay(t, plan{empty: true}.build(t).dial(t), frames)
		})
	}
}

func replay(t *testing.T, k *client, frames string) {
	for n, line := range strings.Split(frames, "\n") {
		said, _, _ := strings.Cut(line, "#")
		said = strings.Map(func(r rune) rune {
			if unicode.IsSpace(r) {
				return -1
			}
			return r
		}, said)
		if said == "" {
			continue
		}
		switch digits := said[1:]; said[0] {
		case '>':
			frame, err := hex.DecodeString(digits)
			if err != nil {
				t.Fatal(err)
			}
			k.write(frame)
		case '<':
			got := make([]byte, len(digits)/2)
			if _, err := readFull(k, got); err != nil {
				t.Fatalf("line %d: %v", n+2, err)
			}
			if open := mask([]byte(hex.EncodeToString(got)), digits); string(open) != digits {
				t.Fatalf("line %d:\n got  %s\n want %s", n+2, open, digits)
			}
		case '|':
			k.closed()
		default:
			t.Fatalf("line %d begins with %c", n+2, said[0])
		}
	}
}

func readFull(k *client, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = k.r.Read(b[n:])
		n += m
	}
	return n, err
}

// mask puts the underscores of want into got.
func mask(got []byte, want string) []byte {
	got = bytes.Clone(got)
	for i := range got {
		if i < len(want) && want[i] == '_' {
			got[i] = '_'
		}
	}
	return got
}
