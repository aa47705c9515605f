package wire

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/grovekeeper/grove/internal/codec"
)

var rewrite = flag.Bool("rewrite", false, "rewrite what is below the rules in testdata")

const (
	recorded = "testdata/golden.txt"  // from a real server
	composed = "testdata/layouts.txt" // from its description
	rule     = "----\n"
)

// golden is one recorded frame.
type golden struct {
	head   string // everything up to and including the rule
	said   string // everything after it
	client bool   // sent by the client
	name   string // operation, or connect
	frame  []byte // with its length
}

// message is a frame taken apart: a header, if it has one, and a record, if it has one.
type message struct{ header, record Record }

// parts lists what m has, in the order of the frame.
func (m message) parts() []Record {
	return slices.DeleteFunc([]Record{m.header, m.record}, func(r Record) bool { return r == nil })
}

// decode reads m from the content of a frame.
func (m message) decode(body []byte) codec.Reader {
	r := codec.NewReader(body)
	for _, part := range m.parts() {
		part.Decode(&r)
	}
	return r
}

// readGolden returns the frames of both files.
func readGolden(t testing.TB) []golden {
	t.Helper()
	_, list := readFrames(t, recorded)
	_, more := readFrames(t, composed)
	return append(list, more...)
}

func readFrames(t testing.TB, file string) (intro string, list []golden) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	intro, blocks, _ := strings.Cut(string(text), "\n\n")
	for block := range strings.SplitSeq(blocks, "\n\n") {
		head, said, ok := strings.Cut(block+"\n", rule)
		if !ok {
			t.Fatalf("no rule in %q", block)
		}
		g := golden{head: head + rule, said: strings.TrimRight(said, "\n")}
		var digits string
		for line := range strings.Lines(head) {
			switch line = strings.TrimSpace(line); line[0] {
			case '#':
			case '>', '<':
				g.client, g.name = line[0] == '>', strings.TrimSpace(line[1:])
			default:
				digits += strings.ReplaceAll(line, " ", "")
			}
		}
		if g.frame, err = hex.DecodeString(digits); err != nil {
			t.Fatalf("%s: %v", g.name, err)
		}
		list = append(list, g)
	}
	return intro, list
}

// message returns the empty header and record that g consists of.
func (g *golden) message(t testing.TB, code Code) message {
	t.Helper()
	if g.name == "connect" {
		if g.client {
			return message{record: &ConnectRequest{}}
		}
		return message{record: &ConnectResponse{}}
	}
	for _, row := range Ops() {
		if row.Name != g.name {
			continue
		}
		m, record := message{header: &ReplyHeader{}}, row.Response
		if g.client {
			m.header, record = &RequestHeader{}, row.Request
		}
		if record != nil && code == CodeOK {
			m.record = record()
		}
		return m
	}
	t.Fatalf("no operation named %q", g.name)
	return message{}
}

// decode takes the frame of g apart.
func (g *golden) decode(t testing.TB) message {
	t.Helper()
	body, rest, err := NextFrame(g.frame, MaxFrame)
	if err != nil || body == nil || len(rest) > 0 {
		t.Fatalf("%s: frame %x, rest %x, %v", g.name, body, rest, err)
	}
	var code Code
	if !g.client && g.name != "connect" {
		var h ReplyHeader
		r := codec.NewReader(body)
		h.Decode(&r)
		code = h.Err
	}
	m := g.message(t, code)
	r := m.decode(body)
	if r.Err() != nil || r.Len() > 0 {
		t.Fatalf("%s: %d bytes left, %v", g.name, r.Len(), r.Err())
	}
	return m
}

func TestGolden(t *testing.T) {
	for _, file := range []string{recorded, composed} {
		intro, list := readFrames(t, file)
		blocks := []string{intro}
		for _, g := range list {
			m := g.decode(t)
			b, mark := BeginFrame([]byte("before"))
			var out strings.Builder
			for _, part := range m.parts() {
				b = part.Append(b)
				describe(&out, "", reflect.ValueOf(part).Elem())
			}
			b = EndFrame(b, mark)
			if !bytes.Equal(b[len("before"):], g.frame) {
				t.Errorf("%s\n got %x\nwant %x", g.head, b[len("before"):], g.frame)
			}
			said := strings.TrimRight(out.String(), "\n")
			if said != g.said && !*rewrite {
				t.Errorf("%s\n got:\n%s\nwant:\n%s", g.head, said, g.said)
			}
			blocks = append(blocks, g.head+said)
		}
		if *rewrite {
			text := strings.Join(blocks, "\n\n") + "\n"
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestGoldenComplete: every record of every operation occurs.
func TestGoldenComplete(t *testing.T) {
	requests, responses := map[string]bool{}, map[string]bool{}
	for _, g := range readGolden(t) {
		if m := g.decode(t); g.client {
			requests[g.name] = true
		} else if m.record != nil {
			responses[g.name] = true
		}
	}
	for _, row := range Ops() {
		inMulti := row.Op == OpCheck || row.Op == OpError
		if !inMulti && (row.Request != nil && !requests[row.Name] || row.Response != nil && !responses[row.Name]) {
			t.Errorf("%s: no frame", row.Name)
		}
	}
}

// describe writes one line for each value in v, with the way to it. In the elements of lists,
// where most fields do not apply, it leaves out zeros.
func describe(out *strings.Builder, at string, v reflect.Value) {
	if strings.Contains(at, "[") && v.IsZero() {
		return
	}
	switch code, _ := v.Interface().(Code); {
	case v.Type() == reflect.TypeFor[Code]():
		fmt.Fprintf(out, "%s %s\n", at, code.String())
	case v.Kind() == reflect.Slice && v.IsNil():
		fmt.Fprintf(out, "%s null\n", at)
	case v.Type() == reflect.TypeFor[[]byte]():
		fmt.Fprintf(out, "%s %+q\n", at, v.Bytes())
	case v.Kind() == reflect.Slice:
		fmt.Fprintf(out, "%s %d\n", at, v.Len())
		for i := range v.Len() {
			describe(out, fmt.Sprintf("%s[%d]", at, i), v.Index(i))
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			field := at
			if f := v.Type().Field(i); !f.Anonymous {
				field = strings.TrimPrefix(at+"."+f.Name, ".")
			}
			describe(out, field, v.Field(i))
		}
	case v.Kind() == reflect.String:
		fmt.Fprintf(out, "%s %q\n", at, v.String())
	default:
		fmt.Fprintf(out, "%s %v\n", at, v.Interface())
	}
}

// TestGoldenReplies holds the functions that write whole frames to what the records say.
func TestGoldenReplies(t *testing.T) {
	for _, g := range readGolden(t) {
		if g.client || g.name == "connect" {
			continue
		}
		m := g.decode(t)
		h := m.header.(*ReplyHeader)
		var got []byte
		switch r := m.record.(type) {
		case nil:
			got = AppendReply(nil, h.Xid, h.Zxid, h.Err)
		case *CreateResponse:
			got = AppendCreateReply(nil, h.Xid, h.Zxid, r.Path)
		case *GetDataResponse:
			got = AppendGetDataReply(nil, h.Xid, h.Zxid, r.Data, &r.Stat)
		case *StatResponse:
			got = AppendStatReply(nil, h.Xid, h.Zxid, &r.Stat)
		case *WatcherEvent:
			got = AppendNotification(nil, h.Zxid, r.Type, r.Path)
		default:
			got = AppendRecordReply(nil, h.Xid, h.Zxid, r)
		}
		if !bytes.Equal(got, g.frame) {
			t.Errorf("%s\n got %x\nwant %x", g.head, got, g.frame)
		}
	}
	r := Create2Response{Path: "/t", Stat: Stat{Czxid: 2, Pzxid: 2}}
	got, want := AppendCreate2Reply(nil, 1, 2, r.Path, &r.Stat), AppendRecordReply(nil, 1, 2, &r)
	if !bytes.Equal(got, want) {
		t.Errorf("create2\n got %x\nwant %x", got, want)
	}
	none := GetDataResponse{}
	got, want = AppendGetDataReply(nil, 1, 2, nil, &none.Stat), AppendRecordReply(nil, 1, 2, &none)
	if !bytes.Equal(got, want) {
		t.Errorf("null data\n got %x\nwant %x", got, want)
	}
}

// TestGoldenRequests holds AppendRequest to the frames that clients send.
func TestGoldenRequests(t *testing.T) {
	for _, g := range readGolden(t) {
		if !g.client || g.name == "connect" {
			continue
		}
		m := g.decode(t)
		h := m.header.(*RequestHeader)
		if got := AppendRequest(nil, h.Xid, h.Op, m.record); !bytes.Equal(got, g.frame) {
			t.Errorf("%s\n got %x\nwant %x", g.head, got, g.frame)
		}
		if h.Op.String() != g.name {
			t.Errorf("op %d is %s, want %s", int32(h.Op), h.Op, g.name)
		}
	}
}

// TestTruncated cuts every recorded frame after every byte: what is left is refused, except where
// the protocol lets the last byte be missing.
func TestTruncated(t *testing.T) {
	for _, g := range readGolden(t) {
		m := g.decode(t)
		short := withoutReadOnly(m.record)
		for n := range len(g.frame) - 4 {
			if r := m.decode(g.frame[4 : 4+n]); (r.Err() == nil) != (n == short) {
				t.Errorf("%s cut after %d bytes: %v", g.name, n, r.Err())
			}
		}
	}
}

// withoutReadOnly returns how long a first message is without its last, optional byte; or -1 if
// it has none.
func withoutReadOnly(m Record) int {
	switch m := m.(type) {
	case *ConnectRequest:
		if m.HasReadOnly {
			return len(m.Append(nil)) - 1
		}
	case *ConnectResponse:
		if m.HasReadOnly {
			return len(m.Append(nil)) - 1
		}
	}
	return -1
}
