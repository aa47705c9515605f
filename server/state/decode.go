package state

import (
	"errors"

	"encoding/binary"
	"slices"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// DecodeCommand reads an encoded command. Strings are copied out of b, so that a path in the tree
// does not hold a whole log entry in memory; Data aliases b. The slices of into are reused, except
// lists of identities and access entries, which are made anew and may be kept. On error into is
// not to be used. Errors: ErrMalformed, ErrNewer.
func DecodeCommand(b []byte, into *Command) error {
	var d decoder
	return d.decode(b, into)
}

// Bounds of what a decoder remembers: entries of each sort, and bytes of an entry that is worth it.
const (
	seenMax     = 1024
	seenSizeMax = 256
)

// decoder takes commands apart and remembers the identities and access lists it met: there are few
// of them, they come with every write, and a remembered one costs no allocation. The zero value
// works, and remembers nothing.
type decoder struct {
	ids  map[string][]znode.Identity
	acls map[string][]znode.ACE
}

func newDecoder() decoder {
	return decoder{ids: make(map[string][]znode.Identity), acls: make(map[string][]znode.ACE)}
}

// remember files v under the bytes it was read from. When the memory is full it starts afresh:
// what is in use comes back with the next commands.
func remember[V any](seen map[string]V, raw []byte, v V) {
	if seen == nil || len(raw) > seenSizeMax {
		return
	}
	if len(seen) >= seenMax {
		clear(seen)
	}
	seen[string(raw)] = v
}

// decode is DecodeCommand with a memory; lists of identities and access entries are shared between
// commands and must not be written to.
func (d *decoder) decode(b []byte, into *Command) error {
	if len(b) < headerSize || b[0] == 0 {
		return ErrMalformed
	}
	if b[0] != version {
		return ErrNewer
	}
	origin, err := OriginOf(b)
	if err != nil {
		return err
	}
	*into = Command{
		Kind:   Kind(b[1]),
		Policy: Policy(b[3]),
		Origin: origin,
		Multi:  into.Multi[:0],
	}
	opts := binary.BigEndian.Uint32(b[4:])
	if !into.Kind.known() || into.Policy&^policyAll != 0 || opts&^optAll != 0 {
		return ErrNewer
	}
	r := codec.NewReader(b[prefixSize:])
	into.Session = session.ID(r.Int64())
	into.Epoch = r.Uint32()
	into.Time = r.Int64()
	if opts&optIDs != 0 {
		into.IDs = d.identities(&r)
	}
	if opts&optClientOp != 0 {
		into.ClientOp = r.Uint64()
	}
	if opts&optFeature != 0 {
		into.Feature = uint16Of(&r)
	}
	if into.Feature > FeatureLevel {
		return ErrNewer
	}
	d.body(&r, into)
	return verdict(&r)
}

// verdict maps what went wrong while reading to what a machine says of it.
func verdict(r *codec.Reader) error {
	switch {
	case errors.Is(r.Err(), ErrNewer):
		return ErrNewer
	case r.Err() != nil, r.Len() != 0:
		return ErrMalformed
	}
	return nil
}

func (d *decoder) body(r *codec.Reader, into *Command) {
	switch kinds[into.Kind].body {
	case bodyOpen:
		into.TimeoutMs = r.Int32()
		copy(into.Random[:], r.Raw(len(into.Random)))
	case bodyAttach:
		into.TimeoutMs = r.Int32()
		copy(into.Password[:], r.Raw(len(into.Password)))
	case bodyOp:
		into.Op.Kind = into.Kind
		d.op(r, &into.Op)
	case bodyMulti:
		d.multi(r, into)
	}
}

func (d *decoder) multi(r *codec.Reader, into *Command) {
	n := r.Count(opSizeMin)
	if n < 0 {
		r.Fail(ErrMalformed)
	}
	into.Multi = slices.Grow(into.Multi, max(n, 0))
	for i := 0; i < n && r.Err() == nil; i++ {
		op := Op{Kind: Kind(r.Byte())}
		if !op.Kind.insideMulti() {
			r.Fail(ErrNewer)
		}
		d.op(r, &op)
		into.Multi = append(into.Multi, op)
	}
}

func (d *decoder) op(r *codec.Reader, op *Op) {
	mask := uint16Of(r)
	if mask&^hasAll != 0 {
		r.Fail(ErrNewer)
	}
	op.Path = r.String()
	if mask&hasData != 0 {
		op.Data = r.Bytes()
	}
	if mask&hasACL != 0 {
		op.ACL = d.acl(r)
	}
	if mask&hasFlags != 0 {
		op.Flags = r.Int32()
	}
	if mask&hasTTL != 0 {
		op.TTL = r.Int64()
	}
	if mask&hasVersion != 0 {
		op.Version = r.Int32()
	}
	if mask&hasCzxid != 0 {
		op.Czxid = znode.Zxid(r.Int64())
	}
	if mask&hasClass != 0 {
		op.Class = Class(r.Byte())
	}
}

func (d *decoder) identities(r *codec.Reader) []znode.Identity {
	raw := r.Bytes()
	if ids, ok := d.ids[string(raw)]; ok {
		return ids
	}
	in := codec.NewReader(raw)
	var ids []znode.Identity // none is nil, said or not
	for range in.Count(4 + 4) {
		ids = append(ids, znode.Identity{Scheme: in.String(), ID: in.String()})
	}
	if in.Err() != nil || in.Len() != 0 {
		r.Fail(ErrMalformed)
		return nil
	}
	remember(d.ids, raw, ids)
	return ids
}

func (d *decoder) acl(r *codec.Reader) []znode.ACE {
	raw := r.Bytes()
	if acl, ok := d.acls[string(raw)]; ok {
		return acl
	}
	in := codec.NewReader(raw)
	acl := make([]znode.ACE, max(in.Count(4+4+4), 0))
	for i := range acl {
		acl[i].Perms = in.Int32()
		acl[i].Scheme, acl[i].SchemeNull = in.NullString()
		acl[i].ID, acl[i].IDNull = in.NullString()
	}
	if in.Err() != nil || in.Len() != 0 {
		r.Fail(ErrMalformed)
		return nil
	}
	remember(d.acls, raw, acl)
	return acl
}

func uint16Of(r *codec.Reader) uint16 {
	b := r.Raw(2)
	if b == nil {
		return 0
	}
	return binary.BigEndian.Uint16(b)
}
