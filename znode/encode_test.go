package znode

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"
)

// sample is one node of each kind, and what else differs in storage.
func sample(t testing.TB) []*Node {
	tree := New()
	e := &Edit{Zxid: 300, Time: 1_700_000_000_000, Session: -5, IDs: []Identity{{"digest", "u:h"}}}
	for _, op := range []Create{
		{Path: "/null"},
		{Path: "/empty", Data: []byte{}},
		{Path: "/some", Data: []byte("data"), ACL: []ACE{
			{Perms: 1, Scheme: "world", ID: "anyone"}, {Perms: -1, Scheme: "auth"}, {Perms: 31, Scheme: "ip", ID: "::1/8"},
		}},
		{Path: "/ephemeral", Flags: 1},
		{Path: "/container", Flags: 4},
		{Path: "/ttl-", Flags: 6, TTL: ttlMax, Class: ClassTTL, Data: []byte("x")},
	} {
		if op.ACL == nil {
			op.ACL = Open().Entries()
		}
		if _, err := tree.Create(e, op); err != nil {
			t.Fatal(err)
		}
		e.Zxid++
		e.Time -= 7
	}
	if _, err := tree.Set(e, "/some", []byte("other"), 0); err != nil {
		t.Fatal(err)
	}
	var nodes []*Node
	tree.Walk(func(n *Node) bool { nodes = append(nodes, n); return true })
	return nodes
}

// The stored form must be read by every later version: if this fails, the format has changed
// and needs another version number.
func TestStoredFormIsFixed(t *testing.T) {
	want := map[string]string{}
	for line := range strings.Lines(storedForms) {
		path, form, _ := strings.Cut(strings.TrimSpace(line), " ")
		want[path] = form
	}
	for _, n := range sample(t) {
		if got := hex.EncodeToString(AppendNode(nil, n)); got != want[n.Path()] {
			t.Errorf("%s %s", n.Path(), got)
		}
	}
}

// The digest is stored and compared between servers: it must not depend on anything but the
// nodes, nor change between versions.
func TestDigestIsFixed(t *testing.T) {
	tree := New()
	if got := tree.Digest(); got != digestOfNew {
		t.Errorf("digest of a new tree is %#x", got)
	}
	for _, n := range sample(t) {
		if err := tree.Restore(n); err != nil {
			t.Fatal(err)
		}
	}
	if got := tree.Digest(); got != digestOfSample {
		t.Errorf("digest of the sample is %#x", got)
	}
}

// Every field of a node counts in the digest.
func TestDigestSeesEveryField(t *testing.T) {
	base := sample(t)[3]
	var changed []*Node
	for _, change := range []func(f *facts){
		func(f *facts) {},
		func(f *facts) { f.czxid++ },
		func(f *facts) { f.mzxid++ },
		func(f *facts) { f.pzxid++ },
		func(f *facts) { f.ctime++ },
		func(f *facts) { f.mtime++ },
		func(f *facts) { f.version++ },
		func(f *facts) { f.aversion++ },
		func(f *facts) { f.creates++ },
		func(f *facts) { f.children++ },
		func(f *facts) { f.acl = readACL },
	} {
		f := base.facts
		change(&f)
		changed = append(changed, base.withFacts(f))
	}
	f, path := base.facts, base.Path()
	changed = append(changed,
		newNode(f, Ephemeral, 9, path, base.Data()),
		newNode(f, Container, 0, path, base.Data()),
		newNode(f, TTL, 1, path, base.Data()),
		newNode(f, Persistent, 0, path, nil),
		newNode(f, Persistent, 0, path, []byte{}),
		newNode(f, Persistent, 0, path, []byte("x")),
		newNode(f, Persistent, 0, path+"x", []byte{}),
	)
	seen := map[uint64]int{}
	for i, n := range changed {
		sum := n.statDigest() + n.contentDigest()
		if j, ok := seen[sum]; ok {
			t.Errorf("nodes %d and %d have the same digest", i, j)
		}
		seen[sum] = i
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, n := range sample(t) {
		stored := AppendNode(nil, n)
		head := len(stored) - len(n.Data())
		for i := range head {
			if _, err := DecodeNode(stored[:i]); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%s cut at %d: %v", n.Path(), i, err)
			}
		}
		for _, first := range []byte{0, 2, 255} {
			bad := bytes.Clone(stored)
			bad[0] = first
			if _, err := DecodeNode(bad); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("version %d: %v", first, err)
			}
		}
	}
	for _, path := range []string{"", "a", "/a/", "//", "/\x00"} {
		if _, err := DecodeNode(AppendNode(nil, bare(path))); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("path %q: %v", path, err)
		}
	}
}

// FuzzDecodeNode feeds arbitrary bytes. What is taken for a node must be stored as it was read.
func FuzzDecodeNode(f *testing.F) {
	for _, n := range sample(f) {
		f.Add(AppendNode(nil, n))
	}
	f.Add([]byte{encodingVersion, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F})
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := DecodeNode(b)
		if err != nil {
			return
		}
		again, err := DecodeNode(AppendNode(nil, n))
		if err != nil || showNodeFull(again) != showNodeFull(n) {
			t.Fatalf("%v: %s became %s", err, showNodeFull(n), showNodeFull(again))
		}
	})
}

func showNodeFull(n *Node) string {
	return n.Path() + n.Kind().String() + quote(n.Data()) + show(n) + hex.EncodeToString(AppendNode(nil, n))
}

func TestRestoreNeedsParents(t *testing.T) {
	tree, digest := New(), New().Digest()
	if err := tree.Restore(bare("/a/b")); !errors.Is(err, ErrNoNode) {
		t.Fatalf("restored an orphan: %v", err)
	}
	if tree.Digest() != digest || tree.Len() != 4 {
		t.Fatal("a refused node left a trace")
	}
}

// The counter of child creates stops at its maximum: sequential creates are refused, others are
// not, and the stat goes on by wrapping as ZooKeeper's does.
func TestSequenceExhausted(t *testing.T) {
	tree := New()
	q := facts{acl: openACL, creates: math.MaxInt32 - 1}
	if err := tree.Restore(newNode(q, Persistent, 0, "/q", nil)); err != nil {
		t.Fatal(err)
	}
	e := &Edit{Zxid: 1}
	seq := Create{Path: "/q/n-", Flags: 2, ACL: Open().Entries()}
	n, err := tree.Create(e, seq)
	if err != nil || n.Path() != "/q/n-2147483646" {
		t.Fatal(n, err)
	}
	if _, err := tree.Create(e, seq); err != ErrSequenceExhausted {
		t.Fatal(err)
	}
	if _, err := tree.Create(e, Create{Path: "/q/n", ACL: Open().Entries()}); err != nil {
		t.Fatal(err)
	}
	if got := tree.Get("/q"); got.creates != math.MaxInt32 || got.Stat().Cversion != -4 {
		t.Fatal(got.creates, got.Stat())
	}
}

func TestVersionsSkipMinusOne(t *testing.T) {
	for _, c := range [][2]int32{{0, 1}, {math.MaxInt32, math.MinInt32}, {math.MinInt32, math.MinInt32 + 1}, {-2, 0}, {-1, 0}} {
		if got := nextVersion(c[0]); got != c[1] {
			t.Errorf("after %d comes %d, not %d", c[0], got, c[1])
		}
	}
}
