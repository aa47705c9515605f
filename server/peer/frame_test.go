package peer

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

func frames() []byte {
	b := appendFrame(nil, kindLight, []byte("light"))
	b = appendFrame(b, kindHeavy, []byte("heavy"))
	b = appendFrame(b, kindLight, bytes.Repeat([]byte("long"), readBytes/3))
	b = appendFrame(b, kindHeavy, bytes.Repeat([]byte("longer"), readBytes/3))
	b = appendFrame(b, kindLight, nil)
	return appendFrame(b, kindLight, []byte("end"))
}

func TestFramesComeBackHoweverTheyArrive(t *testing.T) {
	for name, from := range map[string]io.Reader{
		"at once":       bytes.NewReader(frames()),
		"half":          iotest.HalfReader(bytes.NewReader(frames())),
		"byte by byte":  iotest.OneByteReader(bytes.NewReader(frames())),
		"end with data": iotest.DataErrReader(bytes.NewReader(frames())),
	} {
		in := newReader(from, readBytes, 1<<20, kindLight, kindHeavy)
		var kinds []uint8
		var bodies [][]byte
		var err error
		for {
			var kind uint8
			var body []byte
			if kind, body, err = in.next(); err != nil {
				break
			}
			kinds, bodies = append(kinds, kind), append(bodies, bytes.Clone(body))
		}
		if err != io.EOF || len(kinds) != 6 || string(bodies[1]) != "heavy" || kinds[1] != kindHeavy ||
			len(bodies[2]) != readBytes/3*4 || len(bodies[3]) != readBytes/3*6 || string(bodies[5]) != "end" {
			t.Errorf("%s: %v, %v", name, kinds, err)
		}
		if n := in.taken(); n != uint64(len(frames())) || in.taken() != 0 {
			t.Errorf("%s: %d bytes taken of %d", name, n, len(frames()))
		}
	}
}

// TestEveryCutIsNoProperEnd: a frame that ends in the middle is an error that differs from a
// connection that ends between two.
func TestEveryCutIsNoProperEnd(t *testing.T) {
	b := appendFrame(nil, kindHeavy, []byte("some body"))
	for n := range b {
		in := newReader(bytes.NewReader(b[:n]), readBytes, 1<<20, kindHeavy)
		_, _, err := in.next()
		want := io.ErrUnexpectedEOF
		if n == 0 {
			want = io.EOF
		}
		if !errors.Is(err, want) {
			t.Errorf("cut after %d: %v", n, err)
		}
	}
}

// TestEveryWrongBitIsSeen: at once, not when more has come.
func TestEveryWrongBitIsSeen(t *testing.T) {
	b := appendFrame(nil, kindLight, []byte("some body"))
	for bit := range 8 * len(b) {
		bad := bytes.Clone(b)
		bad[bit/8] ^= 1 << (bit % 8)
		in := newReader(bytes.NewReader(bad), readBytes, 1<<20, kindLight, kindHeavy)
		if _, _, err := in.next(); !errors.Is(err, errChecksum) || !corrupt(err) {
			t.Errorf("bit %d: %v", bit, err)
		}
	}
}

func TestWhatDoesNotBelongIsRefused(t *testing.T) {
	long := appendFrame(nil, kindLight, make([]byte, 100))
	if _, _, err := newReader(bytes.NewReader(long), readBytes, 99, kindLight).next(); !errors.Is(err, errLong) {
		t.Error(err)
	}
	for _, kind := range []uint8{0, kindHeavy, 31, 32, 255} {
		other := appendFrame(nil, kind, nil)
		if _, _, err := newReader(bytes.NewReader(other), readBytes, 99, kindLight).next(); !errors.Is(err, errKind) {
			t.Error(err)
		}
	}
}

// FuzzFrames: any bytes end in an error, without a panic and without memory by their say-so.
func FuzzFrames(f *testing.F) {
	small := appendFrame(nil, kindLight, appendMessages(nil, samples()[:1]))
	f.Add(small)
	f.Add(appendFrame(small, kindHeavy, appendMessages(nil, samples()[8:])))
	f.Add(appendFrame(nil, kindHeavy, []byte("x"))[:10])
	f.Fuzz(func(t *testing.T, b []byte) {
		in := newReader(bytes.NewReader(b), 1<<10, 1<<26, kindLight, kindHeavy)
		for {
			kind, body, err := in.next()
			if err != nil {
				return
			}
			in.another()
			decodeMessages(nil, kind, body, 1, 2)
		}
	})
}

// FuzzHello: whoever calls, and whatever answers.
func FuzzHello(f *testing.F) {
	f.Add((&hello{version: version, channel: bulk, id: 2, cluster: 3, from: 1, to: 2}).append(nil))
	f.Add((&welcome{version: version, cluster: 3, node: 2}).append(nil))
	f.Add([]byte("\x16\x03\x01\x02\x00\x01\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		me := identity{2, 3}
		if h, err := readHello(bytes.NewReader(b)); err == nil {
			me.judge(&h)
		}
		if w, err := readWelcome(bytes.NewReader(b)); err == nil {
			me.accept(&hello{}, &w)
		}
	})
}
