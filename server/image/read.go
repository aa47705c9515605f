package image

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// Read reads an image to its end, verifies it, and returns the machine it was made of. Its errors are
// ErrDamaged, ErrNewer and those of r, but for an early end, which is damage.
func Read(r io.Reader) (*state.Machine, error) {
	d := &reader{r: r, chunk: make([]byte, 0, chunkMax), nodes: znode.New(), live: session.NewTable()}
	m, err := d.read()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: it ends early", ErrDamaged)
	}
	if err != nil {
		return nil, fmt.Errorf("read image: %w", err)
	}
	return m, nil
}

// reader puts records together and what they hold into a tree. Nothing is allocated for what a length
// says: only for bytes that have come.
type reader struct {
	r      io.Reader
	number uint32 // of the next chunk
	chunk  []byte // the last one, verified
	rest   []byte // of chunk, not read yet
	parts  []byte // a record that was cut, put together

	nodes    *znode.Tree
	live     *session.Table
	before   *znode.Node // the one read last
	ended    bool
	restored struct{ nodes, sessions uint64 }
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

func (d *reader) read() (*state.Machine, error) {
	if err := d.header(); err != nil {
		return nil, err
	}
	k, value, err := d.record()
	if err != nil {
		return nil, err
	}
	if k != kindMeta {
		return nil, damaged("it begins with a record of kind %d", k)
	}
	meta, err := state.DecodeMeta(value)
	if err != nil {
		return nil, damaged("%v", err)
	}
	for last := kindNode; !d.ended; last = k {
		if k, value, err = d.record(); err != nil {
			return nil, err
		}
		if k < last {
			return nil, damaged("a record of kind %d after one of kind %d", k, last)
		}
		if err := d.take(k, value); err != nil {
			return nil, err
		}
	}
	m, err := state.Restore(meta, d.nodes, d.live)
	if err != nil {
		return nil, damaged("%v", err)
	}
	return m, nil
}

func (d *reader) header() error {
	var b [headerSize]byte
	if _, err := io.ReadFull(d.r, b[:]); err != nil {
		return err
	}
	v := binary.BigEndian.Uint32(b[len(magic):])
	switch {
	case !bytes.HasPrefix(b[:], []byte(magic)) || v == 0:
		return damaged("it does not begin as one")
	case v > version:
		return fmt.Errorf("%w: %d", ErrNewer, v)
	}
	return nil
}

// take puts what a record holds into its place.
func (d *reader) take(k kind, value []byte) error {
	switch k {
	case kindNode:
		return d.node(value)
	case kindSession:
		s, err := session.DecodeSession(value)
		if err == nil {
			err = d.live.Restore(s)
		}
		if err != nil {
			return damaged("%v", err)
		}
		d.restored.sessions++
		return nil
	case kindEnd:
		return d.end(value)
	}
	return damaged("a record of kind %d", k)
}

func (d *reader) node(value []byte) error {
	n, err := znode.DecodeNode(value)
	if err != nil {
		return damaged("%v", err)
	}
	if d.before != nil && !inOrder(d.before, n) {
		return damaged("%s after %s", n.Path(), d.before.Path())
	}
	if err := d.nodes.Restore(n); err != nil {
		return damaged("%v", err)
	}
	d.before = n
	d.restored.nodes++
	return nil
}

// inOrder says whether m may come after n: the order of a tree has no two alike.
func inOrder(n, m *znode.Node) bool {
	parent, name := znode.KeyOf(n.Path())
	otherParent, otherName := znode.KeyOf(m.Path())
	return parent < otherParent || parent == otherParent && name < otherName
}

// end holds what was read against the counts. Built-in nodes that were not in the image are in the tree
// all the same, hence the third figure.
func (d *reader) end(value []byte) error {
	if len(value) != endSize {
		return damaged("its end has %d bytes", len(value))
	}
	nodes, sessions := binary.BigEndian.Uint64(value), binary.BigEndian.Uint64(value[8:])
	if nodes != d.restored.nodes || sessions != d.restored.sessions || nodes != uint64(d.nodes.Len()) {
		return damaged("holds %d nodes and %d sessions of %d and %d",
			d.restored.nodes, d.restored.sessions, nodes, sessions)
	}
	if len(d.rest) > 0 {
		return damaged("%d bytes behind its end", len(d.rest))
	}
	d.ended = true
	return nil
}

// record returns the next one. The value holds until the next call.
func (d *reader) record() (kind, []byte, error) {
	head, err := d.raw(recordHead)
	if err != nil {
		return 0, nil, err
	}
	k, size := kind(head[0]), binary.BigEndian.Uint32(head[1:])
	if size > recordMax {
		return 0, nil, damaged("a record of %d bytes", size)
	}
	value, err := d.raw(int(size))
	return k, value, err
}

// raw returns the next n bytes of payload, which hold until the next call.
func (d *reader) raw(n int) ([]byte, error) {
	if len(d.rest) >= n {
		b := d.rest[:n]
		d.rest = d.rest[n:]
		return b, nil
	}
	b := d.parts[:0]
	for {
		part := d.rest[:min(len(d.rest), n-len(b))]
		b, d.rest = append(b, part...), d.rest[len(part):]
		if len(b) == n {
			d.parts = kept(b)
			return b, nil
		}
		if err := d.next(); err != nil {
			return nil, err
		}
	}
}

// kept returns b as room for the next record that is cut, unless it has grown out of proportion.
func kept(b []byte) []byte {
	if cap(b) > 4*chunkMax {
		return nil
	}
	return b
}

// next reads a chunk.
func (d *reader) next() error {
	var head [chunkHead]byte
	if _, err := io.ReadFull(d.r, head[:]); err != nil {
		return err
	}
	number, size := binary.BigEndian.Uint32(head[:]), binary.BigEndian.Uint32(head[4:])
	if number != d.number || size == 0 || size > chunkMax {
		return damaged("chunk %d of %d bytes where chunk %d belongs", number, size, d.number)
	}
	d.chunk = d.chunk[:size]
	if _, err := io.ReadFull(d.r, d.chunk); err != nil {
		return err
	}
	if checksum(head[:8], d.chunk) != binary.BigEndian.Uint32(head[8:]) {
		return damaged("checksum mismatch in chunk %d", number)
	}
	d.number++
	d.rest = d.chunk
	return nil
}
