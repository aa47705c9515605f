package state

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// anyCommand draws a command of any kind with the fields its kind carries.
func anyCommand() *rapid.Generator[Command] {
	return rapid.Custom(func(t *rapid.T) Command {
		c := Command{
			Kind:   Kind(rapid.IntRange(int(Noop), int(Configure)).Draw(t, "kind")),
			Policy: Policy(rapid.IntRange(0, policyAll).Draw(t, "policy")),
			Epoch:  rapid.Uint32().Draw(t, "epoch"),
			Origin: Origin{
				Server: rapid.Uint8().Draw(t, "server"),
				Boot:   rapid.Uint64().Draw(t, "boot"),
				Seq:    rapid.Uint64().Draw(t, "seq"),
			},
			Session:  session.ID(rapid.Int64().Draw(t, "session")),
			Time:     rapid.Int64().Draw(t, "time"),
			ClientOp: rapid.Uint64().Draw(t, "client op"),
			Feature:  uint16(rapid.IntRange(0, FeatureLevel).Draw(t, "feature")),
		}
		for range rapid.IntRange(0, 3).Draw(t, "identities") {
			c.IDs = append(c.IDs, znode.Identity{Scheme: rapid.String().Draw(t, "scheme"), ID: rapid.String().Draw(t, "id")})
		}
		switch kinds[c.Kind].body {
		case bodyOpen:
			c.TimeoutMs = rapid.Int32().Draw(t, "timeout")
			copy(c.Random[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "random"))
		case bodyAttach:
			c.TimeoutMs = rapid.Int32().Draw(t, "timeout")
			copy(c.Password[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "password"))
		case bodyOp:
			c.Op = anyOp(t, c.Kind)
		case bodyMulti:
			for range rapid.IntRange(0, 4).Draw(t, "operations") {
				c.Multi = append(c.Multi, anyOp(t, Kind(rapid.IntRange(int(Create), int(Check)).Draw(t, "inside"))))
			}
		}
		return c
	})
}

func anyOp(t *rapid.T, kind Kind) Op {
	op := Op{
		Kind:    kind,
		Class:   Class(rapid.Uint8().Draw(t, "class")),
		Flags:   rapid.Int32().Draw(t, "flags"),
		Version: rapid.Int32().Draw(t, "version"),
		Path:    rapid.String().Draw(t, "path"),
		TTL:     rapid.Int64().Draw(t, "ttl"),
		Czxid:   znode.Zxid(rapid.Int64().Draw(t, "czxid")),
	}
	if rapid.Bool().Draw(t, "data") {
		op.Data = rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")
	}
	for range rapid.IntRange(0, 2).Draw(t, "entries") {
		e := znode.ACE{Perms: rapid.Int32().Draw(t, "perms")}
		if e.SchemeNull = rapid.Bool().Draw(t, "null scheme"); !e.SchemeNull {
			e.Scheme = rapid.String().Draw(t, "scheme")
		}
		if e.IDNull = rapid.Bool().Draw(t, "null id"); !e.IDNull {
			e.ID = rapid.String().Draw(t, "id")
		}
		op.ACL = append(op.ACL, e)
	}
	return op
}

// equal takes absent and empty lists of operations for the same; data nil and data empty differ.
func equal(a, b Command) string {
	if len(a.Multi) == 0 && len(b.Multi) == 0 {
		a.Multi, b.Multi = nil, nil
	}
	return cmp.Diff(a, b)
}

// What was encoded is decoded, also into a command that held another before, and with a memory
// as without.
func TestRoundTrip(t *testing.T) {
	var into Command
	memory := newDecoder()
	rapid.Check(t, func(t *rapid.T) {
		c := anyCommand().Draw(t, "command")
		data := AppendCommand(nil, &c)
		for _, decode := range []func([]byte, *Command) error{DecodeCommand, memory.decode} {
			if err := decode(data, &into); err != nil {
				t.Fatalf("decode: %v", err)
			}
			if d := equal(c, into); d != "" {
				t.Fatalf("decoded differently (-sent +read):\n%s", d)
			}
		}
		if o, err := OriginOf(data); err != nil || o != c.Origin {
			t.Fatalf("origin %v, %v; sent %v", o, err, c.Origin)
		}
	})
}

func TestPatchSeq(t *testing.T) {
	c := Command{Kind: Set, Origin: Origin{Server: 7, Boot: 3}, Op: Op{Kind: Set, Path: "/a", Data: []byte("x"), Version: -1}}
	data := AppendCommand(nil, &c)
	PatchSeq(data, 1<<63|5)
	c.Origin.Seq = 1<<63 | 5
	if want := AppendCommand(nil, &c); !bytes.Equal(data, want) {
		t.Fatalf("patched\n%x, encoded with it\n%x", data, want)
	}
}

// These bytes are in logs: a build that reads them differently must not exist.
func TestGoldenCommands(t *testing.T) {
	const head = "00" + "01" + "00000000" + "0000000000000002" + "0000000000000003" + "0700000000000001" + "00000004" + "0000000000000005"
	origin := Origin{Server: 0, Boot: 2, Seq: 3}
	base := Command{Policy: SkipACL, Origin: origin, Session: 7<<56 | 1, Epoch: 4, Time: 5}
	for _, tc := range []struct {
		name, hex string
		edit      func(c *Command)
	}{
		{"noop", "0101" + head, func(c *Command) { c.Kind = Noop }},
		{"close", "0104" + head, func(c *Command) { c.Kind = CloseSession }},
		{"expire", "0105" + head, func(c *Command) { c.Kind = ExpireSession }},
		{"open", "0102" + head + "00000fa0" + "0a000000000000000000000000000000", func(c *Command) {
			c.Kind, c.TimeoutMs, c.Random = OpenSession, 4000, [16]byte{10}
		}},
		{"attach", "0103" + head + "00000fa0" + "0b000000000000000000000000000000", func(c *Command) {
			c.Kind, c.TimeoutMs, c.Password = AttachSession, 4000, session.Password{11}
		}},
		{"set", "0108" + head + "0011" + "000000022f61" + "0000000178" + "ffffffff", func(c *Command) {
			c.Kind, c.Op = Set, Op{Kind: Set, Path: "/a", Data: []byte("x"), Version: -1}
		}},
		{"create", "0106" + head + "000f" + "000000022f61" + "00000000" +
			"0000001b" + "00000001" + "0000001f" + "00000005776f726c64" + "00000006616e796f6e65" +
			"00000001" + "ffffffffffffffff", func(c *Command) {
			c.Kind, c.Op = Create, Op{
				Kind: Create, Path: "/a", Data: []byte{}, Flags: 1, TTL: -1,
				ACL: []znode.ACE{{Perms: 31, Scheme: "world", ID: "anyone"}},
			}
		}},
		{"reap", "010c" + head + "0020" + "000000022f61" + "0000000000000009", func(c *Command) {
			c.Kind, c.Op = Reap, Op{Kind: Reap, Path: "/a", Czxid: 9}
		}},
		{"configure", "010d" + head + "0001" + "00000000" + "0000000178", func(c *Command) {
			c.Kind, c.Op = Configure, Op{Kind: Configure, Data: []byte("x")}
		}},
		{"multi", "010b" + head + "00000002" + "0a" + "0000" + "000000012f" + "07" + "0010" + "000000022f61" + "00000001", func(c *Command) {
			c.Kind, c.Multi = Multi, []Op{{Kind: Check, Path: "/"}, {Kind: Delete, Path: "/a", Version: 1}}
		}},
		{"options", "0101" + "0001" + "00000007" + head[12:] +
			"00000014" + "00000001" + "000000026970" + "00000006" + "312e322e332e" + "0000000000000006" + "0001", func(c *Command) {
			c.Kind, c.IDs, c.ClientOp, c.Feature = Noop, []znode.Identity{{Scheme: "ip", ID: "1.2.3."}}, 6, 1
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := base
			tc.edit(&c)
			if got := hex.EncodeToString(AppendCommand(nil, &c)); got != tc.hex {
				t.Fatalf("encoded\n%s, want\n%s", got, tc.hex)
			}
			data, err := hex.DecodeString(tc.hex)
			if err != nil {
				t.Fatal(err)
			}
			var into Command
			if err := DecodeCommand(data, &into); err != nil {
				t.Fatal(err)
			}
			if d := equal(c, into); d != "" {
				t.Fatal(d)
			}
			for cut := range data {
				if err := DecodeCommand(data[:cut], &into); !errors.Is(err, ErrMalformed) {
					t.Fatalf("cut at %d: %v", cut, err)
				}
			}
			if err := DecodeCommand(append(data, 0), &into); !errors.Is(err, ErrMalformed) {
				t.Fatalf("a byte too many: %v", err)
			}
		})
	}
}

// What a later build may add is told apart from nonsense, and the origin is read all the same.
func TestNewer(t *testing.T) {
	set := Command{Kind: Set, Origin: Origin{1, 2, 3}, Op: Op{Kind: Set, Path: "/a"}}
	multi := Command{Kind: Multi, Origin: Origin{1, 2, 3}, Multi: []Op{{Kind: Check, Path: "/"}}}
	future := Command{Kind: Noop, Origin: Origin{1, 2, 3}, Feature: FeatureLevel + 1}
	for _, tc := range []struct {
		name string
		c    Command
		at   int
		to   byte
	}{
		{"version", set, 0, version + 1},
		{"kind", set, 1, byte(len(kinds))},
		{"policy", set, 3, 0x80},
		{"option", set, 4, 0x80},
		{"mask", set, headerSize, 0x80},
		{"kind inside", multi, headerSize + 4, byte(len(kinds))},
		{"multi inside", multi, headerSize + 4, byte(Multi)},
		{"feature", future, 0, version},
	} {
		t.Run(tc.name, func(t *testing.T) {
			data := AppendCommand(nil, &tc.c)
			data[tc.at] = tc.to
			var into Command
			if err := DecodeCommand(data, &into); !errors.Is(err, ErrNewer) || !errors.Is(err, znode.ErrMarshalling) {
				t.Fatalf("decode: %v", err)
			}
			if o, err := OriginOf(data); err != nil || o != tc.c.Origin {
				t.Fatalf("origin %v, %v", o, err)
			}
		})
	}
}

func TestEncodingRefusesWhatReplayWould(t *testing.T) {
	for name, c := range map[string]Command{
		"kind 0":             {},
		"kind too large":     {Kind: Kind(len(kinds))},
		"nested multi":       {Kind: Multi, Multi: []Op{{Kind: Multi}}},
		"configure in multi": {Kind: Multi, Multi: []Op{{Kind: Configure}}},
		"reap in multi":      {Kind: Multi, Multi: []Op{{Kind: Reap}}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Fatal("encoded")
				}
			}()
			AppendCommand(nil, &c)
		})
	}
}

// Every kind has a row, a name and a body.
func TestKinds(t *testing.T) {
	names := map[string]Kind{}
	for k := Noop; k <= Configure; k++ {
		row := kinds[k]
		if !k.known() || row.name == "" || row.body == 0 {
			t.Errorf("kind %d has no complete row: %+v", k, row)
		}
		if other, twice := names[k.String()]; twice {
			t.Errorf("kinds %d and %d are both called %v", other, k, k)
		}
		names[k.String()] = k
		if row.inside && row.body != bodyOp {
			t.Errorf("%v may stand in a multi, but is no operation", k)
		}
	}
	if len(kinds) != int(Configure)+1 || Kind(0).known() {
		t.Errorf("%d rows", len(kinds))
	}
}

// FuzzCommand: whatever is decoded can be encoded again, and then reads the same.
func FuzzCommand(f *testing.F) {
	for i := range 40 {
		c := anyCommand().Example(i)
		f.Add(AppendCommand(nil, &c))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var c, again Command
		if err := DecodeCommand(data, &c); err != nil {
			if !errors.Is(err, znode.ErrMarshalling) {
				t.Fatalf("error %v", err)
			}
			return
		}
		if err := DecodeCommand(AppendCommand(nil, &c), &again); err != nil {
			t.Fatalf("decode again: %v", err)
		}
		if d := equal(c, again); d != "" {
			t.Fatal(d)
		}
	})
}
