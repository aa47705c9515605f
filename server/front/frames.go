package front

import (
	"io"

	"github.com/grovekeeper/grove/internal/wire"
)

// Sizes of a connection's read buffer: what an idle one holds, and what a busy one grows to. A
// longer frame grows it further, never ahead of the bytes that have arrived.
const (
	readBytesMin  = 1 << 10
	readBytesBusy = 64 << 10
	readsSmall    = 16 // after so many small reads the connection is not busy any more
)

// frames cuts the stream of a connection into frames. Bound: twice the longest frame.
type frames struct {
	buf        []byte
	head, tail int // of what has been read and not yet consumed
	limit      int
	full       bool // the last read filled the buffer: there is more where that came from
	small      int  // how many reads in a row needed little of it
}

func newFrames(limit int) frames { return frames{buf: make([]byte, readBytesMin), limit: limit} }

// fill reads once. Frames returned by next before are no longer valid.
func (f *frames) fill(r io.Reader) error {
	f.makeRoom()
	n, err := r.Read(f.buf[f.tail:])
	f.tail += n
	f.full = f.tail == len(f.buf)
	if f.small++; f.tail > len(f.buf)/8 {
		f.small = 0
	}
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

func (f *frames) makeRoom() {
	held := f.tail - f.head
	size := len(f.buf)
	switch {
	case held == 0 && (size > readBytesBusy || f.small >= readsSmall):
		size = readBytesMin // a long frame, or a busy time, has been and gone
	case f.full && (held == size || size < readBytesBusy):
		size *= 2
	}
	if size != len(f.buf) {
		grown := make([]byte, size)
		copy(grown, f.buf[f.head:f.tail])
		f.small = 0
		f.buf, f.head, f.tail = grown, 0, held
	} else if f.head > 0 {
		copy(f.buf, f.buf[f.head:f.tail])
		f.head, f.tail = 0, held
	}
	f.full = false
}

// next cuts off the next whole frame, nil if none has arrived. It aliases the buffer.
func (f *frames) next() ([]byte, error) {
	frame, rest, err := wire.NextFrame(f.buf[f.head:f.tail], f.limit)
	f.head = f.tail - len(rest)
	return frame, err
}

// pending is what has arrived and not been consumed.
func (f *frames) pending() []byte { return f.buf[f.head:f.tail] }
