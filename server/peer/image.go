package peer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// A connection for an image carries the message that names it, its body in chunks, its end with
// the length of the body, and back comes one byte, 0 if it was taken, with the reason if not.
const (
	chunkBytes = 64 << 10 // so that a chunk is read in place
	imageMax   = 1 << 20  // of the message that names it
	// chunkTimeout is how long the next chunk may be away.
	chunkTimeout = 30 * time.Second
)

// The ways in which an image does not arrive.
var (
	errNotTaken = errors.New("image was not taken")
	errLength   = errors.New("image has another length than its end says")
)

// sendImage queues an image. It does not block.
func (r *remote) sendImage(m *pb.Message) {
	r.used.Store(true)
	if r.p.cfg.Image == nil || r.images.Put(m, 1) != nil || !r.beginImages() {
		r.unsent.Add(1) // said by the reporter: here it would be said in the middle of Send
		r.p.poke()
	}
}

func (r *remote) beginImages() bool {
	if r.sender.Load() || !r.sender.CompareAndSwap(false, true) {
		return true
	}
	if !r.p.start("peer images", r.runImages) {
		r.sender.Store(false)
		return false
	}
	return true
}

// runImages sends one image after the other. Of several that wait only the newest is sent: the
// others are of terms that have ended.
func (r *remote) runImages(ctx context.Context) {
	var batch []*pb.Message
	for {
		select {
		case <-ctx.Done():
			return
		case _, open := <-r.images.Ready():
			if batch = r.images.Drain(batch); len(batch) == 0 {
				if !open {
					return
				}
				continue
			}
		}
		for range len(batch) - 1 {
			r.p.cfg.ImageSent(r.node, false)
		}
		r.p.cfg.ImageSent(r.node, r.carry(ctx, batch[len(batch)-1]))
	}
}

// carry sends an image and says whether it has arrived.
func (r *remote) carry(ctx context.Context, m *pb.Message) bool {
	log, began := r.p.cfg.Logger, time.Now()
	index := m.GetSnapshot().GetMetadata().GetIndex()
	c, err := r.p.dial(ctx, hello{channel: image, id: uint8(r.node), to: r.node})
	if err != nil {
		return false // logged there
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	w := &chunks{to: c}
	if err := r.p.tell(c, w, m); err != nil {
		log.Warn("image was not sent", "peer", r.node, "index", index, "bytes", w.total, "error", err)
		return false
	}
	log.Info("image sent", "peer", r.node, "index", index, "bytes", w.total, "took", time.Since(began))
	return true
}

// tell sends the name and the body of an image and waits for the receiver's word.
func (p *Peers) tell(c *conn, w *chunks, m *pb.Message) error {
	b, at := openFrame(nil)
	b, err := appendImage(b, m)
	if err != nil {
		return err
	}
	if len(b) > imageMax {
		return fmt.Errorf("%w: name of %d bytes", ErrTooLarge, len(b))
	}
	if _, err := c.Write(closeFrame(b, at, kindImage)); err != nil {
		return err
	}
	if err := p.cfg.Image(m, w); err != nil {
		return fmt.Errorf("write image: %w", err)
	}
	if err := w.end(); err != nil {
		return err
	}
	if err := c.socket.SetReadDeadline(time.Now().Add(p.cfg.Limits.ImageTimeout)); err != nil {
		return err
	}
	_, b, err = newReader(c, helloMax+headBytes, helloMax, kindTaken).next()
	if err != nil {
		return fmt.Errorf("wait for the receiver: %w", whole(err))
	}
	if len(b) != 1 || b[0] != 0 {
		return fmt.Errorf("%w: %s", errNotTaken, b[min(1, len(b)):])
	}
	return nil
}

// chunks turns what is written into frames.
type chunks struct {
	to    io.Writer
	out   []byte // an open frame
	total uint64
}

func (w *chunks) Write(b []byte) (int, error) {
	done := 0
	for done < len(b) {
		if w.out == nil {
			w.out, _ = openFrame(make([]byte, 0, headBytes+chunkBytes))
		}
		n := min(len(b)-done, headBytes+chunkBytes-len(w.out))
		w.out = append(w.out, b[done:done+n]...)
		if len(w.out) == headBytes+chunkBytes {
			if err := w.flush(); err != nil {
				return done, err
			}
		}
		done += n
		w.total += uint64(n)
	}
	return done, nil
}

func (w *chunks) flush() error {
	if len(w.out) <= headBytes {
		return nil
	}
	_, err := w.to.Write(closeFrame(w.out, 0, kindChunk))
	w.out = w.out[:headBytes]
	return err
}

func (w *chunks) end() error {
	if err := w.flush(); err != nil {
		return err
	}
	_, err := w.to.Write(appendFrame(nil, kindWhole, binary.BigEndian.AppendUint64(nil, w.total)))
	return err
}

// body gives back what chunks carried.
type body struct {
	in    *reader
	c     *conn
	rest  []byte // of the last chunk
	total uint64
	err   error // io.EOF once all of it was read
}

func (r *body) Read(b []byte) (int, error) {
	for len(r.rest) == 0 && r.err == nil {
		r.rest, r.err = r.chunk()
	}
	if len(r.rest) == 0 {
		return 0, r.err
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *body) chunk() ([]byte, error) {
	if err := r.c.socket.SetReadDeadline(time.Now().Add(chunkTimeout)); err != nil {
		return nil, err
	}
	kind, b, err := r.in.next()
	switch {
	case err != nil:
		return nil, whole(err)
	case kind == kindChunk:
		r.total += uint64(len(b))
		return b, nil
	case kind != kindWhole || len(b) != 8:
		return nil, fmt.Errorf("%w: kind %d in an image", errKind, kind)
	case binary.BigEndian.Uint64(b) != r.total:
		return nil, fmt.Errorf("%w: %d bytes came", errLength, r.total)
	default:
		return nil, io.EOF
	}
}

// serveImage takes one image.
func (p *Peers) serveImage(ctx context.Context, v *visitor) error {
	select {
	case p.images <- struct{}{}:
		defer func() { <-p.images }()
	default:
		return p.reply(v, errors.New("too many images are arriving"))
	}
	if err := v.c.socket.SetReadDeadline(time.Now().Add(chunkTimeout)); err != nil {
		return err
	}
	in := newReader(v.c, readBytes, imageMax, kindImage, kindChunk, kindWhole)
	kind, b, err := in.next()
	if err != nil {
		return whole(err)
	}
	if kind != kindImage {
		return fmt.Errorf("%w: kind %d before an image", errKind, kind)
	}
	m, err := decodeImage(b, v.from, p.me.Load().node)
	if err != nil {
		return err
	}
	r := &body{in: in, c: v.c}
	err = p.cfg.Handler.Image(ctx, v.from, m, r)
	if err == nil && !errors.Is(r.err, io.EOF) {
		err = errors.New("not read to its end")
	}
	if err != nil {
		p.cfg.Logger.Warn("image was not taken", "peer", v.from, "bytes", r.total, "error", err)
	}
	if corrupt(r.err) {
		err = r.err
	}
	return errors.Join(p.reply(v, err), err)
}

// reply tells the sender what became of its image.
func (p *Peers) reply(v *visitor, failed error) error {
	b := []byte{0}
	if failed != nil {
		b = append([]byte{1}, failed.Error()...)
		b = b[:min(len(b), helloMax)]
	}
	_, err := v.c.Write(appendFrame(nil, kindTaken, b))
	return err
}
