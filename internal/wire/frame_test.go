package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

func TestCheckLength(t *testing.T) {
	for _, c := range []struct {
		first4 uint32
		want   int
		fails  bool
	}{
		{0, 0, false},
		{1, 1, false},
		{MaxFrame, MaxFrame, false},
		{MaxFrame + 1, 0, true},
		{0x7fffffff, 0, true},
		{0x80000000, 0, true},
		{0xffffffff, 0, true},
	} {
		n, err := CheckLength(c.first4, MaxFrame)
		var refused *FrameError
		if n != c.want || errors.As(err, &refused) != c.fails {
			t.Errorf("%#x: %d, %v", c.first4, n, err)
		}
		if c.fails && (refused.Length != int32(c.first4) || refused.Limit != MaxFrame) {
			t.Errorf("%#x: %+v", c.first4, refused)
		}
	}
	_, err := CheckLength(0xffffffff, 9)
	if got := err.Error(); got != "frame length -1 is not within 0 and 9" {
		t.Error(got)
	}
}

// FuzzNextFrame: however a stream is cut into reads, the same frames come out; and a length that is
// refused is refused before its content arrives.
func FuzzNextFrame(f *testing.F) {
	var stream []byte
	for _, g := range readGolden(f) {
		stream = append(stream, g.frame...)
	}
	f.Add(stream, uint8(1))
	f.Add(stream, uint8(200))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 7, 0xff, 0, 0, 0}, uint8(3))
	f.Add([]byte{0x7f, 0xff, 0xff, 0xff}, uint8(1))
	f.Fuzz(func(t *testing.T, stream []byte, step uint8) {
		const limit = 200
		want, wantErr := frames(stream, limit)
		var got [][]byte
		var buf []byte
		var err error
		for rest := stream; len(rest) > 0 && err == nil; {
			n := min(len(rest), int(step)+1)
			buf, rest = append(buf, rest[:n]...), rest[n:]
			for {
				var frame []byte
				if frame, buf, err = NextFrame(buf, limit); frame == nil {
					break
				}
				got = append(got, bytes.Clone(frame))
			}
		}
		if (err != nil) != wantErr || len(got) != len(want) {
			t.Fatalf("%d frames, %v; want %d, %t", len(got), err, len(want), wantErr)
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("frame %d: %x, want %x", i, got[i], want[i])
			}
		}
	})
}

// frames is the obvious way to cut a whole stream.
func frames(stream []byte, limit int64) (list [][]byte, refused bool) {
	in := bytes.NewReader(stream)
	for {
		var n int32
		if binary.Read(in, binary.BigEndian, &n) != nil {
			return list, false
		}
		if int64(n) < 0 || int64(n) > limit {
			return list, true
		}
		frame := make([]byte, n)
		if int(n) > in.Len() {
			return list, false
		}
		in.Read(frame)
		list = append(list, frame)
	}
}

// TestNextFrameCannotGrow: appending to a frame does not reach into the next.
func TestNextFrameCannotGrow(t *testing.T) {
	frame, rest, err := NextFrame([]byte{0, 0, 0, 1, 7, 8}, MaxFrame)
	if _ = append(frame, 9); err != nil || rest[0] != 8 {
		t.Errorf("%v %v %v", frame, rest, err)
	}
}

func TestNextFrameEmpty(t *testing.T) {
	frame, rest, err := NextFrame([]byte{0, 0, 0, 0, 1}, MaxFrame)
	if frame == nil || len(frame) != 0 || len(rest) != 1 || err != nil {
		t.Errorf("%v %v %v", frame, rest, err)
	}
}

// TestFrameInPlace: frames follow each other in one buffer, and one that is abandoned leaves no
// trace.
func TestFrameInPlace(t *testing.T) {
	b := AppendReply(nil, 1, 2, CodeNoNode)
	b, mark := BeginReply(b, 2, 3)
	b = append(b, "half an answer"...)
	b = AppendReply(b[:mark], 2, 3, CodeNoAuth)
	want := AppendReply(AppendReply(nil, 1, 2, CodeNoNode), 2, 3, CodeNoAuth)
	if !bytes.Equal(b, want) {
		t.Errorf(" got %x\nwant %x", b, want)
	}
	b, mark = BeginFrame(b)
	b = EndFrame(b, mark)
	if !bytes.Equal(b, append(want, 0, 0, 0, 0)) {
		t.Errorf("empty frame: %x", b[len(want):])
	}
}

func TestFourLetterWord(t *testing.T) {
	words := []string{"conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "ruok", "stmk", "srst",
		"srvr", "stat", "wchc", "wchp", "wchs", "mntr", "isro", "hash", "\xff\xf4\xff\xfd"}
	for _, w := range words {
		first4 := binary.BigEndian.Uint32([]byte(w))
		want := w
		if first4 == telnetInterrupt {
			want = Telnet
		}
		if name, ok := FourLetterWord(first4); name != want || !ok {
			t.Errorf("%q: %q, %t", w, name, ok)
		}
		if _, err := CheckLength(first4, 1<<24); err == nil {
			t.Errorf("%q could be the length of a frame", w)
		}
		for bit := range 32 { // nearly a word is no word, unless it is another
			near := first4 ^ 1<<bit
			spelt := string(binary.BigEndian.AppendUint32(nil, near))
			if name, ok := FourLetterWord(near); ok && name != spelt {
				t.Errorf("%q is taken for %s", spelt, name)
			}
		}
	}
	for _, w := range []string{"GET ", "RUOK", "\x00\x00\x00\x2d", "\x16\x03\x01\x02", "\xff\xff\xff\xff"} {
		if name, ok := FourLetterWord(binary.BigEndian.Uint32([]byte(w))); ok {
			t.Errorf("%q is taken for %s", w, name)
		}
	}
}
