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
	readsSmall    = 16 // so many in a row show that the connection is not busy
	readBytesFew  = 256
)

// frames cuts the stream of a connection into frames. Bound: twice the longest frame.
type frames struct {
	buf        []byte
	head, tail int // of what has been read and not yet consumed
	limit      int
	full       bool // the last read filled the buffer: there is more where that came from
	small      int  // how many reads in a row were small
	calm       bool // enough of them: the connection is not busy, and needs no large buffers
}

func newFrames(limit int) frames { return frames{buf: make([]byte, readBytesMin), limit: limit} }

// fill reads once. Frames returned by next before are no longer valid.
func (f *frames) fill(r io.Reader) error {
	f.makeRoom()
	n, err := r.Read(f.buf[f.tail:])
	f.tail += n
	f.full = f.tail == len(f.buf)
	if f.small++; n > readBytesFew {
		f.small = 0
	} else if f.small == readsSmall {
		f.small, f.calm = 0, true
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
	case held == 0 && (size > readBytesBusy || f.calm):
		size = readBytesMin // a long frame, or a busy time, has been and gone
	case f.full && (held == size || size < readBytesBusy):
		size *= 2
	}
	if size != len(f.buf) {
		grown := make([]byte, size)
		copy(grown, f.buf[f.head:f.tail])
		f.buf, f.head, f.tail = grown, 0, held
	} else if f.head > 0 {
		copy(f.buf, f.buf[f.head:f.tail])
		f.head, f.tail = 0, held
	}
	f.full, f.calm = false, false
}

// next cuts off the next whole frame, nil if none has arrived. It aliases the buffer.
func (f *frames) next() ([]byte, error) {
	frame, rest, err := wire.NextFrame(f.buf[f.head:f.tail], f.limit)
	f.head = f.tail - len(rest)
	return frame, err
}

// pending is what has arrived and not been consumed.
func (f *frames) pending() []byte { return f.buf[f.head:f.tail] }
