package image

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// world is a machine and the last zxid applied to it.
type world struct {
	t    testing.TB
	m    *state.Machine
	zxid znode.Zxid
	out  state.Outcome
}

func newWorld(t testing.TB) *world { return &world{t: t, m: state.New()} }

func (w *world) apply(c state.Command) state.Result {
	w.t.Helper()
	w.zxid++
	w.m.Apply(w.zxid, state.AppendCommand(nil, &c), &w.out)
	if w.out.Err != nil {
		w.t.Fatal(w.out.Err)
	}
	return w.out.Result
}

var anyone = []znode.ACE{{Perms: znode.PermAll, Scheme: "world", ID: "anyone"}}

func (w *world) create(s session.ID, path string, size int, flags int32) {
	w.t.Helper()
	w.apply(state.Command{Kind: state.Create, Session: s, Epoch: 1, Time: int64(w.zxid) * 7, Op: state.Op{
		Kind: state.Create, Path: path, Flags: flags, Data: bytes.Repeat([]byte{'x'}, size), TTL: -1, ACL: anyone,
	}})
}

// some returns a state with something of everything: more than one chunk, and nodes larger than one.
func some(t testing.TB) *state.View {
	w := newWorld(t)
	s := w.apply(state.Command{
		Kind: state.OpenSession, TimeoutMs: 4000, Random: [16]byte{1}, Origin: state.Origin{Server: 3, Boot: 5, Seq: 1},
	}).Session.ID
	w.apply(state.Command{Kind: state.OpenSession, TimeoutMs: 9000, Origin: state.Origin{Server: 1, Boot: 9, Seq: 1}})
	w.create(s, "/large", 3*chunkMax+5, 0)
	w.create(s, "/empty", 0, 0)
	for i := range 2000 {
		w.create(s, fmt.Sprintf("/empty/n%04d", i), i%400, 0)
	}
	w.create(s, "/empty/mine", 3, 1)
	w.create(s, "/exact", chunkMax-500, 0)
	w.apply(state.Command{Kind: state.Configure, Op: state.Op{Data: []byte("server.1=a")}})
	return w.m.View()
}

func written(t testing.TB, v *state.View) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	for name, v := range map[string]*state.View{"new": state.New().View(), "some": some(t)} {
		b := written(t, v)
		for how, r := range map[string]io.Reader{
			"whole": bytes.NewReader(b), "by bytes": iotest.OneByteReader(bytes.NewReader(b)),
		} {
			m, err := Read(r)
			if err != nil {
				t.Fatalf("%s, %s: %v", name, how, err)
			}
			got := m.View()
			if got.Digest() != v.Digest() || got.Zxid != v.Zxid || got.Nodes.Len() != v.Nodes.Len() {
				t.Errorf("%s, %s: another state came back", name, how)
			}
			if again := written(t, got); !bytes.Equal(again, b) {
				t.Errorf("%s, %s: it is written otherwise", name, how)
			}
		}
	}
}

// What follows an image is not its own, and is not read.
func TestAnImageEndsWhereItEnds(t *testing.T) {
	r := bytes.NewReader(append(written(t, some(t)), "rest"...))
	if _, err := Read(r); err != nil || r.Len() != len("rest") {
		t.Errorf("%v, with %d bytes left", err, r.Len())
	}
}

// An image that is made while the machine goes on is of the view.
func TestAViewIsWrittenAsItWas(t *testing.T) {
	w := newWorld(t)
	s := w.apply(state.Command{Kind: state.OpenSession, TimeoutMs: 4000}).Session.ID
	for i := range 3000 {
		w.create(s, fmt.Sprintf("/%d", i), 200, 0)
	}
	v := w.m.View()
	r, out := io.Pipe()
	go func() { out.CloseWithError(Write(out, v)) }()
	for i := range 3000 {
		w.create(s, fmt.Sprintf("/later-%d", i), 0, 0)
	}
	if m, err := Read(r); err != nil || m.Digest() != v.Digest() || m.Zxid() != v.Zxid {
		t.Errorf("%v", err)
	}
}

func TestFailuresOfTheStreamAreTold(t *testing.T) {
	v := some(t)
	failed := errors.New("broken pipe")
	r, out := io.Pipe()
	r.CloseWithError(failed)
	if err := Write(out, v); !errors.Is(err, failed) {
		t.Errorf("write: %v", err)
	}
	if _, err := Read(iotest.ErrReader(failed)); !errors.Is(err, failed) || errors.Is(err, ErrDamaged) {
		t.Errorf("read: %v", err)
	}
	b := written(t, state.New().View())
	b[headerSize-1]++
	if _, err := Read(bytes.NewReader(b)); !errors.Is(err, ErrNewer) {
		t.Errorf("a later form: %v", err)
	}
}

// No byte can be changed, and no end cut off, without being noticed; nor can chunks change places.
func TestDamageIsNoticed(t *testing.T) {
	small := written(t, state.New().View())
	for i := range small {
		for _, bit := range []byte{1, 0x80} {
			b := bytes.Clone(small)
			b[i] ^= bit
			if _, err := Read(bytes.NewReader(b)); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer) {
				t.Fatalf("byte %d changed: %v", i, err)
			}
		}
		if _, err := Read(bytes.NewReader(small[:i])); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
	b := written(t, some(t))
	size := chunkHead + chunkMax
	swapped := bytes.Clone(b)
	copy(swapped[headerSize:], b[headerSize+size:headerSize+2*size])
	copy(swapped[headerSize+size:], b[headerSize:headerSize+size])
	if _, err := Read(bytes.NewReader(swapped)); !errors.Is(err, ErrDamaged) {
		t.Errorf("swapped: %v", err)
	}
	for n := headerSize; n < len(b); n += size {
		if _, err := Read(bytes.NewReader(b[:n])); !errors.Is(err, ErrDamaged) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

// sealed makes a stream of records with good checksums.
func sealed(records []byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte(magic), version)
	for n := uint32(0); len(records) > 0; n++ {
		part := records[:min(len(records), chunkMax)]
		records = records[len(part):]
		head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, n), uint32(len(part)))
		b = append(b, head...)
		b = binary.BigEndian.AppendUint32(b, checksum(head, part))
		b = append(b, part...)
	}
	return b
}

func record(k kind, value []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{byte(k)}, uint32(len(value))), value...)
}

func records(b []byte) (out []byte) {
	for b = b[headerSize:]; len(b) > 0; {
		n := int(binary.BigEndian.Uint32(b[4:]))
		out = append(out, b[chunkHead:chunkHead+n]...)
		b = b[chunkHead+n:]
	}
	return out
}

// Checksums that hold say nothing about a sender that is wrong.
func TestRecordsThatMakeNoStateAreRefused(t *testing.T) {
	whole := records(written(t, state.New().View()))
	end := whole[len(whole)-recordHead-endSize:]
	body := whole[:len(whole)-len(end)]
	meta := body[:recordHead+int(binary.BigEndian.Uint32(body[1:]))]
	rest := body[len(meta):]
	first := rest[:recordHead+int(binary.BigEndian.Uint32(rest[1:]))]
	three := bytes.Clone(end)
	three[len(three)-9]--
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	huge := record(kindNode, nil)
	binary.BigEndian.PutUint32(huge[1:], recordMax+1)
	if _, err := Read(bytes.NewReader(sealed(whole))); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"nothing": {}, "no meta": join(rest, end), "meta alone": meta, "no end": body, "no nodes": join(meta, end),
		"two metas": join(meta, meta, rest, end), "a node missing": join(meta, rest[len(first):], end),
		"a node missing, not counted": join(meta, rest[len(first):], three),
		"a node twice":                join(meta, first, rest, end), "a node at the end": join(body, first, end),
		"behind the end": join(whole, first), "unknown kind": join(body, record(9, nil), end),
		"kind 0": join(meta, record(0, nil), rest, end), "huge": join(meta, huge), "node of nothing": join(meta, record(kindNode, nil)),
		"session of nothing": join(body, record(kindSession, nil), end), "end of nothing": join(body, record(kindEnd, nil)),
		"meta of nothing": join(record(kindMeta, nil), rest, end),
	} {
		if _, err := Read(bytes.NewReader(sealed(b))); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzRead: whatever the records are, with good checksums, they are read or refused; and what is read is
// written again.
func FuzzRead(f *testing.F) {
	f.Add(records(written(f, state.New().View())))
	w := newWorld(f)
	s := w.apply(state.Command{Kind: state.OpenSession, TimeoutMs: 4000}).Session.ID
	w.create(s, "/a", 3, 1)
	f.Add(records(written(f, w.m.View())))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := Read(bytes.NewReader(b)); err == nil && !bytes.HasPrefix(b, []byte(magic)) {
			t.Fatal("read what is no image")
		}
		m, err := Read(bytes.NewReader(sealed(b)))
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		again, err := Read(bytes.NewReader(written(t, m.View())))
		if err != nil || again.Digest() != m.Digest() {
			t.Fatal(err)
		}
	})
}

// BenchmarkImage writes and reads a million small nodes.
func BenchmarkImage(b *testing.B) {
	w := newWorld(b)
	s := w.apply(state.Command{Kind: state.OpenSession, TimeoutMs: 4000}).Session.ID
	for i := range 1000 {
		w.create(s, fmt.Sprintf("/dir-%03d", i), 0, 0)
		for j := range 999 {
			w.create(s, fmt.Sprintf("/dir-%03d/node-%03d", i, j), 20, 0)
		}
	}
	v := w.m.View()
	image := written(b, v)
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := Write(io.Discard, v); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(image))/1e6, "MB")
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Read(bytes.NewReader(image)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
