package state

import (
	"encoding/binary"
	"fmt"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/znode"
)

// A command in the log, all numbers big-endian:
//
//	 0     1      2        3        4       8      16     24        32      36     44
//	+-----+------+--------+--------+-------+------+------+---------+-------+------+-- ... --+- ... -+
//	| ver | kind | server | policy | flags | boot | seq  | session | epoch | time | options | body  |
//	+-----+------+--------+--------+-------+------+------+---------+-------+------+-- ... --+- ... -+
//	 `------------ the same in every version -----------'
//
// flags says which options follow, in this order:
//
//	bit 0  identities: i32 length of what follows, i32 count, (scheme, id) each
//	bit 1  client operation id: u64
//	bit 2  feature level: u16
//
// The body depends on the kind: nothing; timeout i32 and 16 bytes (open: random, attach:
// password); one operation; or, for multi, a count and as many (kind u8, operation). An operation
// is a mask u16, the path, and the fields that the mask names, in this order:
//
//	bit 0  data: buffer           bit 4  version: i32
//	bit 1  access list: vector    bit 5  czxid: i64
//	bit 2  flags: i32             bit 6  class: u8
//	bit 3  ttl: i64
//
// Absent fields are zero, or nil. Nothing may follow the body. An unknown version, kind, flag or
// mask bit is ErrNewer, so later versions may add some without a new layout.
const (
	version    = 1
	prefixSize = 24 // up to and with seq
	headerSize = 44
	bootOffset = 8
	seqOffset  = 16
)

// FeatureLevel is the highest feature level this build applies.
const FeatureLevel = 1

const (
	optIDs uint32 = 1 << iota
	optClientOp
	optFeature
	optAll = 1<<iota - 1
)

const (
	hasData uint16 = 1 << iota
	hasACL
	hasFlags
	hasTTL
	hasVersion
	hasCzxid
	hasClass
	hasAll = 1<<iota - 1
)

// opSizeMin is the shortest encoding of an operation inside a multi: kind, mask, empty path.
const opSizeMin = 1 + 2 + 4

// AppendCommand adds the encoding of c to b. It panics on a kind without a row, or one in a Multi
// that may not stand there: nobody may log what replay would refuse.
func AppendCommand(b []byte, c *Command) []byte {
	if !c.Kind.known() {
		panic(fmt.Sprintf("state: encoding a command of kind %d", c.Kind))
	}
	opts := c.options()
	b = append(b, version, byte(c.Kind), c.Origin.Server, byte(c.Policy))
	b = codec.AppendUint32(b, opts)
	b = codec.AppendUint64(b, c.Origin.Boot)
	b = codec.AppendUint64(b, c.Origin.Seq)
	b = codec.AppendInt64(b, int64(c.Session))
	b = codec.AppendUint32(b, c.Epoch)
	b = codec.AppendInt64(b, c.Time)
	if opts&optIDs != 0 {
		b = appendIDs(b, c.IDs)
	}
	if opts&optClientOp != 0 {
		b = codec.AppendUint64(b, c.ClientOp)
	}
	if opts&optFeature != 0 {
		b = binary.BigEndian.AppendUint16(b, c.Feature)
	}
	return appendBody(b, c)
}

// options says which optional fields of c differ from their absence.
func (c *Command) options() (opts uint32) {
	if len(c.IDs) > 0 {
		opts |= optIDs
	}
	if c.ClientOp != 0 {
		opts |= optClientOp
	}
	if c.Feature != 0 {
		opts |= optFeature
	}
	return opts
}

// appendIDs writes the identities behind their length in bytes: the decoder recognises a list it
// has met before without taking it apart.
func appendIDs(b []byte, ids []znode.Identity) []byte {
	mark := len(b)
	b = codec.AppendInt32(b, 0)
	b = codec.AppendCount(b, len(ids))
	for _, id := range ids {
		b = codec.AppendString(b, id.Scheme)
		b = codec.AppendString(b, id.ID)
	}
	return sealLength(b, mark)
}

// sealLength writes at mark how many bytes follow the length there.
func sealLength(b []byte, mark int) []byte {
	binary.BigEndian.PutUint32(b[mark:], uint32(len(b)-mark-4))
	return b
}

func appendBody(b []byte, c *Command) []byte {
	switch kinds[c.Kind].body {
	case bodyOpen:
		b = codec.AppendInt32(b, c.TimeoutMs)
		b = append(b, c.Random[:]...)
	case bodyAttach:
		b = codec.AppendInt32(b, c.TimeoutMs)
		b = append(b, c.Password[:]...)
	case bodyOp:
		b = appendOp(b, &c.Op)
	case bodyMulti:
		b = codec.AppendCount(b, len(c.Multi))
		for i := range c.Multi {
			op := &c.Multi[i]
			if !op.Kind.insideMulti() {
				panic(fmt.Sprintf("state: encoding a multi with a %v in it", op.Kind))
			}
			b = appendOp(append(b, byte(op.Kind)), op)
		}
	}
	return b
}

// insideMulti reports whether k may stand inside a multi.
func (k Kind) insideMulti() bool { return k.known() && kinds[k].inside }

func appendOp(b []byte, op *Op) []byte {
	mask := op.mask()
	b = binary.BigEndian.AppendUint16(b, mask)
	b = codec.AppendString(b, op.Path)
	if mask&hasData != 0 {
		b = codec.AppendBytes(b, op.Data)
	}
	if mask&hasACL != 0 {
		b = appendACL(b, op.ACL)
	}
	if mask&hasFlags != 0 {
		b = codec.AppendInt32(b, op.Flags)
	}
	if mask&hasTTL != 0 {
		b = codec.AppendInt64(b, op.TTL)
	}
	if mask&hasVersion != 0 {
		b = codec.AppendInt32(b, op.Version)
	}
	if mask&hasCzxid != 0 {
		b = codec.AppendInt64(b, int64(op.Czxid))
	}
	if mask&hasClass != 0 {
		b = append(b, byte(op.Class))
	}
	return b
}

// mask says which fields of op differ from their absence.
func (op *Op) mask() (mask uint16) {
	set := func(present bool, bit uint16) {
		if present {
			mask |= bit
		}
	}
	set(op.Data != nil, hasData)
	set(op.ACL != nil, hasACL)
	set(op.Flags != 0, hasFlags)
	set(op.TTL != 0, hasTTL)
	set(op.Version != 0, hasVersion)
	set(op.Czxid != 0, hasCzxid)
	set(op.Class != 0, hasClass)
	return mask
}

// appendACL writes an access list behind its length in bytes, for the same reason as appendIDs.
func appendACL(b []byte, acl []znode.ACE) []byte {
	mark := len(b)
	b = codec.AppendInt32(b, 0)
	b = codec.AppendCount(b, len(acl))
	for i := range acl {
		b = codec.AppendInt32(b, acl[i].Perms)
		b = codec.AppendNullString(b, acl[i].Scheme, acl[i].SchemeNull)
		b = codec.AppendNullString(b, acl[i].ID, acl[i].IDNull)
	}
	return sealLength(b, mark)
}

// PatchSeq stamps the origin's sequence into an encoded command, so that it can be encoded
// wherever the request was decoded and numbered where the stream is put in order.
func PatchSeq(b []byte, seq uint64) {
	binary.BigEndian.PutUint64(b[seqOffset:prefixSize], seq)
}

// PatchStream is PatchSeq for a stream that has begun anew: it stamps the boot as well.
func PatchStream(b []byte, boot, seq uint64) {
	binary.BigEndian.PutUint64(b[bootOffset:seqOffset], boot)
	PatchSeq(b, seq)
}

// OriginOf reads the origin of an encoded command of any version.
func OriginOf(b []byte) (Origin, error) {
	if len(b) < prefixSize || b[0] == 0 {
		return Origin{}, ErrMalformed
	}
	return Origin{
		Server: b[2],
		Boot:   binary.BigEndian.Uint64(b[bootOffset:]),
		Seq:    binary.BigEndian.Uint64(b[seqOffset:]),
	}, nil
}
