package state

import (
	"errors"
	"fmt"

	"github.com/grovekeeper/grove/internal/bug"
	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// Meta is what an image of the state holds besides its nodes and sessions, which are stored one by
// one in their own encodings.
type Meta struct {
	Zxid    znode.Zxid
	Time    int64    // ms
	Digest  uint64   // of the whole state, this record included
	Origins []Origin // the last applied of each server, by server, ascending
}

// Errors of reading an image back.
var (
	ErrMeta   = errors.New("malformed state record")
	ErrDigest = errors.New("digest of the state does not match its record")
)

// Meta returns the record to store beside the view's nodes and sessions.
func (v *View) Meta() Meta {
	return Meta{Zxid: v.Zxid, Time: v.Time, Digest: v.Digest(), Origins: v.Origins}
}

const (
	metaVersion = 1
	originSize  = 1 + 8 + 8
)

// AppendMeta adds the encoding of m to b: version u8, zxid, time and digest i64, a count, and
// server u8, boot u64, seq u64 of each origin.
func AppendMeta(b []byte, m Meta) []byte {
	b = append(b, metaVersion)
	b = codec.AppendInt64(b, int64(m.Zxid))
	b = codec.AppendInt64(b, m.Time)
	b = codec.AppendUint64(b, m.Digest)
	b = codec.AppendCount(b, len(m.Origins))
	for _, o := range m.Origins {
		b = append(b, o.Server)
		b = codec.AppendUint64(b, o.Boot)
		b = codec.AppendUint64(b, o.Seq)
	}
	return b
}

// DecodeMeta reads what AppendMeta wrote. Its error is ErrMeta.
func DecodeMeta(b []byte) (Meta, error) {
	r := codec.NewReader(b)
	if r.Byte() != metaVersion {
		r.Fail(ErrMeta)
	}
	m := Meta{Zxid: znode.Zxid(r.Int64()), Time: r.Int64(), Digest: r.Uint64()}
	n := r.Count(originSize)
	for i := 0; i < n; i++ {
		o := Origin{Server: r.Byte(), Boot: r.Uint64(), Seq: r.Uint64()}
		if i > 0 && o.Server <= m.Origins[i-1].Server {
			r.Fail(ErrMeta)
		}
		m.Origins = append(m.Origins, o)
	}
	if r.Err() != nil || r.Len() != 0 {
		return Meta{}, ErrMeta
	}
	return m, nil
}

// Restore returns the machine that an image was made of. It takes nodes and sessions over. Its
// error is ErrDigest: some part of the image is not what was stored, though each was readable.
func Restore(meta Meta, nodes *znode.Tree, sessions *session.Table) (*Machine, error) {
	m := &Machine{
		zxid: meta.Zxid, time: meta.Time, origins: meta.Origins,
		nodes: nodes, sessions: sessions, decoder: newDecoder(),
	}
	if bug.On(bug.OriginNotInImage) {
		m.origins = nil
		return m, nil
	}
	if d := m.Digest(); d != meta.Digest {
		return nil, fmt.Errorf("restore state at %d: %w: %#x, stored %#x", meta.Zxid, ErrDigest, d, meta.Digest)
	}
	return m, nil
}
