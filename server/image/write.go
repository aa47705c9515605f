package image

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// Write writes the image of v to w. The view may be read, and the machine go on, meanwhile. Its errors
// are those of w.
func Write(w io.Writer, v *state.View) error {
	c := &writer{w: w, buf: make([]byte, chunkHead, chunkHead+chunkMax+4096)}
	if err := c.write(v); err != nil {
		return fmt.Errorf("write image at %d: %w", v.Zxid, err)
	}
	return nil
}

// writer cuts records into chunks. The payload of the next chunk, and what will be too much for it,
// stands in buf behind room for its head.
type writer struct {
	w      io.Writer
	buf    []byte
	number uint32
	err    error // of w, the first
}

func (c *writer) write(v *state.View) error {
	head := binary.BigEndian.AppendUint32([]byte(magic), version)
	if _, err := c.w.Write(head); err != nil {
		return err
	}
	c.end(state.AppendMeta(c.begin(kindMeta), v.Meta()))
	v.Nodes.Walk(func(n *znode.Node) bool {
		return c.end(znode.AppendNode(c.begin(kindNode), n))
	})
	v.Sessions.Walk(func(s session.Session) bool {
		return c.end(session.AppendSession(c.begin(kindSession), s))
	})
	b := binary.BigEndian.AppendUint64(c.begin(kindEnd), uint64(v.Nodes.Len()))
	c.end(binary.BigEndian.AppendUint64(b, uint64(v.Sessions.Len())))
	if c.err == nil && len(c.buf) > chunkHead {
		c.chunk(len(c.buf) - chunkHead)
	}
	return c.err
}

// begin returns buf with the head of a record, whose value is to be appended.
func (c *writer) begin(k kind) []byte { return append(c.buf, byte(k), 0, 0, 0, 0) }

// end completes the record that was appended to buf, and writes the chunks that are full. It returns
// whether to go on.
func (c *writer) end(b []byte) bool {
	mark := len(c.buf) + 1
	binary.BigEndian.PutUint32(b[mark:], uint32(len(b)-mark-4))
	c.buf = b
	for c.err == nil && len(c.buf)-chunkHead >= chunkMax {
		c.chunk(chunkMax)
	}
	return c.err == nil
}

// chunk writes the first n bytes of payload, and moves the rest to the front.
func (c *writer) chunk(n int) {
	head, payload := c.buf[:chunkHead], c.buf[chunkHead:chunkHead+n]
	binary.BigEndian.PutUint32(head, c.number)
	binary.BigEndian.PutUint32(head[4:], uint32(n))
	binary.BigEndian.PutUint32(head[8:], checksum(head[:8], payload))
	_, c.err = c.w.Write(c.buf[:chunkHead+n])
	c.number++
	rest := copy(c.buf[chunkHead:], c.buf[chunkHead+n:])
	c.buf = c.buf[:chunkHead+rest]
}
