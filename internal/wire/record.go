package wire

import (
	"encoding/binary"
	"errors"

	"github.com/grovekeeper/grove/internal/codec"
)

// The reasons for which records are refused beyond those of codec. All of them are answered with
// CodeMarshallingError.
var (
	ErrNull  = errors.New("value must not be null")
	ErrRange = errors.New("value is out of range")
	ErrMulti = errors.New("operation is not allowed in a multi")
)

// Stat is what a client sees of a node beside its data. Times are milliseconds since 1970.
type Stat struct {
	Czxid          int64 // created by
	Mzxid          int64 // data last set by
	Ctime          int64
	Mtime          int64
	Version        int32 // number of times the data was set
	Cversion       int32 // number of creates and deletes of children
	Aversion       int32 // number of times the ACL was set
	EphemeralOwner int64 // session, or 0
	DataLength     int32
	NumChildren    int32
	Pzxid          int64 // children last changed by
}

// Decode reads s.
func (s *Stat) Decode(r *codec.Reader) {
	b := r.Raw(statLen)
	if b == nil {
		*s = Stat{}
		return
	}
	be := binary.BigEndian
	s.Czxid = int64(be.Uint64(b[0:]))
	s.Mzxid = int64(be.Uint64(b[8:]))
	s.Ctime = int64(be.Uint64(b[16:]))
	s.Mtime = int64(be.Uint64(b[24:]))
	s.Version = int32(be.Uint32(b[32:]))
	s.Cversion = int32(be.Uint32(b[36:]))
	s.Aversion = int32(be.Uint32(b[40:]))
	s.EphemeralOwner = int64(be.Uint64(b[44:]))
	s.DataLength = int32(be.Uint32(b[52:]))
	s.NumChildren = int32(be.Uint32(b[56:]))
	s.Pzxid = int64(be.Uint64(b[60:]))
}

// Append adds s to b: 68 bytes.
func (s *Stat) Append(b []byte) []byte {
	var a [statLen]byte
	be := binary.BigEndian
	be.PutUint64(a[0:], uint64(s.Czxid))
	be.PutUint64(a[8:], uint64(s.Mzxid))
	be.PutUint64(a[16:], uint64(s.Ctime))
	be.PutUint64(a[24:], uint64(s.Mtime))
	be.PutUint32(a[32:], uint32(s.Version))
	be.PutUint32(a[36:], uint32(s.Cversion))
	be.PutUint32(a[40:], uint32(s.Aversion))
	be.PutUint64(a[44:], uint64(s.EphemeralOwner))
	be.PutUint32(a[52:], uint32(s.DataLength))
	be.PutUint32(a[56:], uint32(s.NumChildren))
	be.PutUint64(a[60:], uint64(s.Pzxid))
	return append(b, a[:]...)
}

// ACL is one entry of an access control list: who may do what. Null strings are kept apart from
// empty ones because the server answers them differently.
type ACL struct {
	Perms              int32
	Scheme, ID         string
	SchemeNull, IDNull bool
}

// aclLenMin is the least an ACL takes: permissions and two lengths.
const aclLenMin = 12

// Decode reads a.
func (a *ACL) Decode(r *codec.Reader) {
	a.Perms = r.Int32()
	a.Scheme, a.SchemeNull = knownString(r)
	a.ID, a.IDNull = knownString(r)
}

// Append adds a to b.
func (a *ACL) Append(b []byte) []byte {
	b = codec.AppendInt32(b, a.Perms)
	b = codec.AppendNullString(b, a.Scheme, a.SchemeNull)
	return codec.AppendNullString(b, a.ID, a.IDNull)
}

// knownString reads a string like NullString but shares the few that nearly every ACL consists of,
// so that decoding world:anyone allocates nothing.
func knownString(r *codec.Reader) (s string, null bool) {
	b := r.Bytes()
	switch string(b) {
	case "":
		return "", b == nil
	case "world":
		return "world", false
	case "anyone":
		return "anyone", false
	case "digest":
		return "digest", false
	case "ip":
		return "ip", false
	case "auth":
		return "auth", false
	case "sasl":
		return "sasl", false
	}
	return string(b), false
}

// decodeACLs reads a list: nil for null, empty and not nil for empty. It uses the storage of into,
// the list of the last record decoded here, if that suffices.
func decodeACLs(r *codec.Reader, into []ACL) []ACL {
	n := r.Count(aclLenMin)
	if n < 0 || r.Err() != nil {
		return nil
	}
	if into == nil || n > cap(into) {
		into = make([]ACL, n)
	}
	list := into[:n]
	for i := range list {
		list[i].Decode(r)
	}
	return list
}

// appendACLs adds a list to b: null if it is nil.
func appendACLs(b []byte, list []ACL) []byte {
	if list == nil {
		return codec.AppendCount(b, -1)
	}
	b = codec.AppendCount(b, len(list))
	for i := range list {
		b = list[i].Append(b)
	}
	return b
}

// decodeStrings reads a list of strings, of which none may be null if strict: nil for null, empty
// and not nil for empty.
func decodeStrings(r *codec.Reader, strict bool) []string {
	n := r.Count(4)
	if n < 0 || r.Err() != nil {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		s, null := r.NullString()
		if null && strict {
			r.Fail(ErrNull)
		}
		list[i] = s
	}
	return list
}

// appendStrings adds a list of strings to b: null if it is nil.
func appendStrings(b []byte, list []string) []byte {
	if list == nil {
		return codec.AppendCount(b, -1)
	}
	b = codec.AppendCount(b, len(list))
	for _, s := range list {
		b = codec.AppendString(b, s)
	}
	return b
}

// path reads the path of a request, which must not be null, without copying it.
func path(r *codec.Reader) []byte {
	b := r.Bytes()
	if b == nil {
		r.Fail(ErrNull)
	}
	return b
}
