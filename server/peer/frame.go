package peer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/grovekeeper/grove/internal/bug"
)

// The kinds of frames. They are on the wire: a number is never used for something else.
const (
	kindHello    = uint8(1)
	kindWelcome  = uint8(2)
	kindLight    = uint8(3) // messages without entries
	kindHeavy    = uint8(4) // messages with entries, which share the memory of the frame
	kindCommands = uint8(5)
	kindHeard    = uint8(6)
	kindAsk      = uint8(7)
	kindAnswer   = uint8(8)
	kindImage    = uint8(9)  // the message that names an image
	kindChunk    = uint8(10) // some of its body
	kindWhole    = uint8(11) // its end: how long it was
	kindTaken    = uint8(12) // the receiver's word on it
)

const (
	headBytes = 12
	// readBytes is the memory of a connection that is being read. A frame that fits is read in
	// place; a longer one, or one whose memory is handed out, gets memory of its own.
	readBytes = 64 << 10
	// trustBytes is how much is allocated for a frame at once; the rest follows as it arrives, so
	// that a length alone costs its sender more than us.
	trustBytes = 1 << 20
)

// The ways in which a frame can be wrong.
var (
	errChecksum = errors.New("checksum does not match")
	errLong     = errors.New("frame is too long")
	errKind     = errors.New("frame does not belong here")
	errBody     = errors.New("malformed frame")
)

// corrupt says whether a connection ended because of what arrived on it.
func corrupt(err error) bool {
	return errors.Is(err, errChecksum) || errors.Is(err, errLong) ||
		errors.Is(err, errKind) || errors.Is(err, errBody)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// openFrame adds room for the head of a frame to b and returns where it is. The body is whatever is
// appended until closeFrame.
func openFrame(b []byte) ([]byte, int) {
	var head [headBytes]byte
	return append(b, head[:]...), len(b)
}

// closeFrame writes the head of the frame opened at.
func closeFrame(b []byte, at int, kind uint8) []byte {
	head, body := b[at:at+headBytes], b[at+headBytes:]
	binary.BigEndian.PutUint32(head, uint32(len(body)))
	head[4] = kind
	check := crc32.Checksum(head[:5], castagnoli)
	head[5], head[6], head[7] = byte(check>>16), byte(check>>8), byte(check)
	binary.BigEndian.PutUint32(head[8:], crc32.Checksum(body, castagnoli))
	return b
}

// appendFrame adds a whole frame to b.
func appendFrame(b []byte, kind uint8, body []byte) []byte {
	b, at := openFrame(b)
	return closeFrame(append(b, body...), at, kind)
}

// head is what the first bytes of a frame say.
type head struct {
	length int
	kind   uint8
	check  uint32
}

func parseHead(b []byte, lengthMax int) (head, error) {
	check := crc32.Checksum(b[:5], castagnoli)
	if b[5] != byte(check>>16) || b[6] != byte(check>>8) || b[7] != byte(check) {
		return head{}, fmt.Errorf("head: %w", errChecksum)
	}
	length := binary.BigEndian.Uint32(b)
	if uint64(length) > uint64(lengthMax) {
		return head{}, fmt.Errorf("%w: %d bytes, at most %d are taken here", errLong, length, lengthMax)
	}
	return head{length: int(length), kind: b[4], check: binary.BigEndian.Uint32(b[8:])}, nil
}

// reader takes frames from a connection.
type reader struct {
	from      io.Reader
	lengthMax int
	kinds     uint32 // those that are taken, a bit each
	buffer    []byte
	start     int // buffer[start:end] has arrived and is not consumed
	end       int
	took      uint64 // see taken
}

func newReader(from io.Reader, size, lengthMax int, kinds ...uint8) *reader {
	r := &reader{from: from, lengthMax: lengthMax, buffer: make([]byte, size)}
	for _, k := range kinds {
		r.kinds |= 1 << k
	}
	return r
}

// next reads one frame. The body is the reader's until the next call, but for the kinds that share
// it: those are given memory that nobody writes to again. io.EOF means that the connection was
// closed between two frames.
func (r *reader) next() (uint8, []byte, error) {
	if err := r.fill(headBytes); err != nil {
		return 0, nil, err
	}
	h, err := parseHead(r.buffer[r.start:r.end], r.lengthMax)
	if err != nil {
		return 0, nil, err
	}
	if h.kind > 31 || r.kinds&(1<<h.kind) == 0 {
		return 0, nil, fmt.Errorf("%w: kind %d", errKind, h.kind)
	}
	r.start += headBytes
	body, err := r.body(h)
	if err != nil {
		return 0, nil, err
	}
	if err := checkBody(body, h.check); err != nil {
		return 0, nil, err
	}
	r.took += uint64(headBytes + h.length)
	return h.kind, body, nil
}

func checkBody(body []byte, check uint32) error {
	if crc32.Checksum(body, castagnoli) != check && !bug.On(bug.FrameUnchecked) {
		return fmt.Errorf("body: %w", errChecksum)
	}
	return nil
}

// shared are the kinds whose parts are handed out.
func shared(kind uint8) bool {
	return kind == kindHeavy || kind == kindCommands || kind == kindAsk || kind == kindAnswer
}

func (r *reader) body(h head) ([]byte, error) {
	if !shared(h.kind) && h.length <= len(r.buffer) {
		if err := r.fill(h.length); err != nil {
			return nil, whole(err)
		}
		r.start += h.length
		return r.buffer[r.start-h.length : r.start], nil
	}
	body := make([]byte, min(h.length, trustBytes))
	n := copy(body, r.buffer[r.start:r.end])
	r.start += n
	for {
		if _, err := io.ReadFull(r.from, body[n:]); err != nil {
			return nil, whole(err)
		}
		if n = len(body); n == h.length {
			return body, nil
		}
		longer := make([]byte, min(h.length, 2*n))
		copy(longer, body)
		body = longer
	}
}

// whole is err of a read inside a frame, where an end is no proper end.
func whole(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// fill reads until n bytes are there, n being at most the buffer's size.
func (r *reader) fill(n int) error {
	if r.end-r.start >= n {
		return nil
	}
	if r.start+n > len(r.buffer) || r.start == r.end {
		r.end = copy(r.buffer, r.buffer[r.start:r.end])
		r.start = 0
	}
	got, err := io.ReadAtLeast(r.from, r.buffer[r.end:], n-(r.end-r.start))
	had := r.end - r.start
	r.end += got
	if errors.Is(err, io.EOF) && had > 0 {
		return io.ErrUnexpectedEOF
	}
	return err
}

// taken returns the bytes of the frames read since it was asked last.
func (r *reader) taken() uint64 {
	n := r.took
	r.took = 0
	return n
}

// another says whether a whole frame, or one that is wrong, can be taken without waiting.
func (r *reader) another() bool {
	if r.end-r.start < headBytes {
		return false
	}
	h, err := parseHead(r.buffer[r.start:r.end], r.lengthMax)
	return err != nil || r.end-r.start >= headBytes+h.length
}
