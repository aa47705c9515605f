package admin

import (
	"bytes"
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// fixed is a Source that shows always the same, and counts the resets.
type fixed struct {
	stats    Stats
	settings Settings
	resets   []string
}

func (f *fixed) Stats() Stats       { return f.stats }
func (f *fixed) Settings() Settings { return f.settings }
func (f *fixed) ResetServer()       { f.resets = append(f.resets, "server") }
func (f *fixed) ResetConnections()  { f.resets = append(f.resets, "connections") }

func (f *fixed) Connections() []Connection {
	return []Connection{
		{
			Remote: netip.MustParseAddrPort("127.0.0.1:38314"), EstablishedMs: 1795395861000,
			ExpiresMs: 1795395870000, Received: 1, LastOp: "NA", LastCxid: -1, LastZxid: -1, Paused: true,
		},
		{
			Remote: netip.MustParseAddrPort("127.0.0.1:38268"), Session: 0x1000012666e0000,
			Received: 8, Sent: 8, EstablishedMs: 1795395853811, ExpiresMs: 1795395870000, TimeoutMs: 10000,
			LastOp: "ADDW", LastCxid: 7, LastZxid: 4, LastResponseMs: 1795395854000, AvgMs: 2, MaxMs: 7,
		},
		{
			Remote: netip.MustParseAddrPort("[::1]:40000"), Session: -1, Queued: 3, Received: 12, Sent: 9,
			EstablishedMs: 1795395853000, ExpiresMs: 1795395880000, TimeoutMs: 4000,
			LastOp: "PING", LastCxid: -1, LastZxid: -1,
		},
	}
}

func (f *fixed) Sessions() []Session {
	return []Session{
		{ID: 0x100000000000003, TimeoutMs: 4000, ExpiresMs: 1795395866000},
		{ID: 0x1000012666e0000, TimeoutMs: 10000, ExpiresMs: 1795395868000},
		{ID: 0x100000000000002, TimeoutMs: 4000, ExpiresMs: 1795395866000},
	}
}

func (f *fixed) Ephemerals() []Ephemeral {
	return []Ephemeral{
		{0x1000012666e0000, "/e2"}, {0x100000000000002, "/lock/n-0000000001"}, {0x1000012666e0000, "/e1"},
	}
}

func (f *fixed) Watches() []Watch {
	return []Watch{
		{0x1000012666e0000, "/e1"}, {0x100000000000002, "/a"}, {0x1000012666e0000, "/a"},
		{0x1000012666e0000, "/a"}, // another kind of watch on the same path
	}
}

func example() *fixed {
	return &fixed{
		settings: Settings{
			ClientPort: 2181, DataDir: "/var/lib/grove", LogDir: "/var/lib/grove/log", TickMs: 2000,
			SessionMinMs: 4000, SessionMaxMs: 40000, PerAddressMax: 60, FourLetterWords: []string{"*"},
		},
		stats: Stats{
			Version: "1.2.3", Built: time.Date(2026, 2, 11, 20, 18, 0, 0, time.UTC), Mode: "standalone", Serving: true, UptimeMs: 28225,
			Load: Load{
				PacketsReceived: 11, PacketsSent: 10, BytesReceived: 400, BytesSent: 500,
				Connections: 3, Accepted: 5, Rejected: 1, Dropped: 2, Unspoken: 1, FramesTooLong: 1, AuthFailed: 4,
			},
			Latency: Latency{
				MaxMs: 7, AvgMs: 2.25,
				Read:   &Summary{Count: 3, Sum: 10, Min: 1, Max: 7, P50: 2, P95: 7, P99: 7, P999: 7},
				Update: &Summary{}, Fsync: &Summary{Count: 4, Sum: 9, Min: 1, Max: 4},
			},
			Tree: Tree{
				Zxid: 0x1f4, Nodes: 8, Ephemerals: 3, DataBytes: 64, Sessions: 3,
				SessionsExpired: 1, EntriesReplayed: 12,
			},
			Watch: WatchSummary{Watches: 4, Connections: 2, Paths: 2, Deleted: &Summary{Count: 1, Sum: 2, Min: 2, Max: 2}},
			Disk:  Disk{CheckpointBytes: 65536, LogBytes: 67108864},
		},
	}
}

func ask(t *testing.T, word string, source Source) string {
	t.Helper()
	var b bytes.Buffer
	if err := FourLetter(word, source, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// golden compares got with a file, or writes the file under -rewrite.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// ofThisMachine lists the words whose answer differs from machine to machine; they have their
// own tests.
var ofThisMachine = []string{"envi"}

func TestFourLetterWordsSayWhatZooKeeperSays(t *testing.T) {
	descriptor := regexp.MustCompile(`(file_descriptor_count\t)\d+`)
	for _, word := range Words() {
		if slices.Contains(ofThisMachine, word) {
			continue
		}
		t.Run(word, func(t *testing.T) {
			golden(t, word+".4lw", descriptor.ReplaceAllString(ask(t, word, example()), "${1}N"))
		})
	}
}

func TestEnvironmentBeginsWithAVersionThatClientsCanParse(t *testing.T) {
	got := ask(t, "envi", example())
	const head = "Environment:\nzookeeper.version=3.9.5-grove-1.2.3, built on 02/11/2026 20:18 UTC\nhost.name="
	if !strings.HasPrefix(got, head) {
		t.Fatalf("envi = %q, want a beginning of %q", got, head)
	}
	for line := range strings.Lines(strings.TrimPrefix(got, "Environment:\n")) {
		if !strings.Contains(line, "=") {
			t.Errorf("line without a value: %q", line)
		}
	}
}

func TestAWordOffTheWhitelistIsRefusedByName(t *testing.T) {
	source := example()
	source.settings.FourLetterWords = []string{"srvr"}
	for word, why := range map[string]string{"srst": "in the whitelist", "hash": "known"} {
		want := word + " is not executed because it is not " + why + ".\n"
		if got := ask(t, word, source); got != want {
			t.Errorf("%s = %q, want %q", word, got, want)
		}
	}
	if len(source.resets) != 0 {
		t.Errorf("a refused word was carried out: %v", source.resets)
	}
	if got := ask(t, "srvr", source); !strings.HasPrefix(got, "Zookeeper version: 3.9.5-") {
		t.Errorf("srvr = %q although it is on the whitelist", got)
	}
}

func TestAServerThatDoesNotServeSaysSo(t *testing.T) {
	source := example()
	source.stats.Serving = false
	want := map[string]string{"ruok": "imok", "isro": "null", "srvr": notServing, "mntr": notServing, "dump": notServing}
	for word, answer := range want {
		if got := ask(t, word, source); got != answer {
			t.Errorf("%s = %q, want %q", word, got, answer)
		}
	}
}

func TestReadOnlyShows(t *testing.T) {
	source := example()
	source.stats.ReadOnly, source.stats.Mode = true, "read-only"
	if got := ask(t, "isro", source); got != "ro" {
		t.Errorf("isro = %q, want ro", got)
	}
	if got := ask(t, "srvr", source); !strings.Contains(got, "\nREAD-ONLY mode; serving only read-only clients\nLatency") {
		t.Errorf("srvr does not say that it is read-only:\n%s", got)
	}
}

func TestResetsReachTheSource(t *testing.T) {
	source := example()
	ask(t, "crst", source)
	ask(t, "srst", source)
	if want := []string{"connections", "server"}; !slices.Equal(source.resets, want) {
		t.Errorf("resets = %v, want %v", source.resets, want)
	}
}

func TestWordsAreTablesInOrder(t *testing.T) {
	all := Words()
	if !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Errorf("words are not in order, each once: %v", all)
	}
	for _, word := range []string{"crst", "srst", "wchc", "wchp"} {
		if slices.Contains(DefaultWords(), word) {
			t.Errorf("%s is answered by default", word)
		}
	}
	for _, word := range all {
		first := uint32(word[0])<<24 | uint32(word[1])<<16 | uint32(word[2])<<8 | uint32(word[3])
		if got, ok := Word(first); !ok || got != word {
			t.Errorf("Word(%#x) = %q, %v, want %s", first, got, ok, word)
		}
	}
	if _, ok := Word(44); ok {
		t.Error("the length of a connect request was taken for a word")
	}
}

func TestDoublesLookLikeJava(t *testing.T) {
	for v, want := range map[float64]string{0: "0.0", 2.25: "2.25", 12: "12.0", 1.0 / 3: "0.3333", 1e7: "10000000.0"} {
		if got := double(v); got != want {
			t.Errorf("double(%v) = %s, want %s", v, got, want)
		}
	}
}

type broken struct{}

var errGone = errors.New("gone")

func (broken) Write([]byte) (int, error) { return 0, errGone }

func TestAReaderThatIsGoneIsAnError(t *testing.T) {
	if err := FourLetter("mntr", example(), broken{}); !errors.Is(err, errGone) {
		t.Errorf("err = %v, want %v", err, errGone)
	}
}
