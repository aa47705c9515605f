package wire

import (
	"slices"

	"github.com/grovekeeper/grove/internal/codec"
)

// A multi is a list without a count. Each operation, and each result, follows a header of its own;
// a header that is done ends the list:
//
//	 0       4      5       9
//	+-------+------+-------+------ ... -----+
//	| op i32| done | err   | record of op   |    requests: err -1
//	+-------+------+-------+------ ... -----+
//	+-------+------+-------+
//	|  -1   |  1   |  -1   |                     end
//	+-------+------+-------+

const multiHeaderLen = 9

// multiHeader precedes each operation and each result of a multi.
type multiHeader struct {
	op   Op
	done bool
	err  Code
}

func (h *multiHeader) decode(r *codec.Reader) {
	h.op = Op(r.Int32())
	h.done = r.Bool()
	h.err = Code(r.Int32())
}

func appendMultiHeader(b []byte, op Op, done bool, err Code) []byte {
	b = codec.AppendInt32(b, int32(op))
	b = codec.AppendBool(b, done)
	return codec.AppendInt32(b, int32(err))
}

// AppendMultiEnd adds the end of a multi, request or response, to b.
func AppendMultiEnd(b []byte) []byte { return appendMultiHeader(b, OpError, true, -1) }

// extend makes list longer by one element, which may hold what it held before. When it has to
// allocate, it expects the elements in the left bytes to be like those in the bytes before, of size
// in all. So a list of equals is allocated twice, and none takes more than its smallest elements
// would.
func extend[T any](list []T, size, left int) []T {
	n := len(list)
	if n < cap(list) {
		return list[:n+1]
	}
	more := 4
	if n > 0 {
		more = 1 + left*n/(size-left) // each element took at least its header
	}
	return slices.Grow(list, more)[:n+1]
}

// MultiOp is one operation of a multi. Which fields count depends on Op: Path always; Data, ACL and
// Flags for a create; TTL for createTTL; Data and Version for setData; Version for delete and check.
type MultiOp struct {
	Op      Op
	Path    string
	Data    []byte // nil is null; aliases the frame
	ACL     []ACL  // nil is null
	Flags   int32
	Version int32
	TTL     int64 // ms
}

// decode reads the record of op. It refuses what a multi must not hold: other operations, flags
// that do not exist, and a TTL asked for by an operation that cannot carry one.
func (m *MultiOp) decode(r *codec.Reader, op Op) {
	acl := m.ACL
	*m = MultiOp{Op: op}
	switch op {
	case OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL:
		m.decodeCreate(r, acl)
	case OpDelete, OpCheck:
		m.Path = string(path(r))
		m.Version = r.Int32()
	case OpSetData:
		m.Path = string(path(r))
		m.Data = r.Bytes()
		m.Version = r.Int32()
	default:
		r.Fail(ErrMulti)
	}
}

func (m *MultiOp) decodeCreate(r *codec.Reader, acl []ACL) {
	m.Path = string(path(r))
	m.Data = r.Bytes()
	m.ACL = decodeACLs(r, acl)
	m.Flags = r.Int32()
	flagsMax := FlagContainer
	if m.Op == OpCreateTTL {
		m.TTL = r.Int64()
		flagsMax = FlagPersistentSequentialTTL
	}
	if m.Flags < 0 || m.Flags > flagsMax {
		r.Fail(ErrRange)
	}
}

// Append adds m to b, with its header.
func (m *MultiOp) Append(b []byte) []byte {
	b = appendMultiHeader(b, m.Op, false, -1)
	b = codec.AppendString(b, m.Path)
	switch m.Op {
	case OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL:
		b = codec.AppendBytes(b, m.Data)
		b = appendACLs(b, m.ACL)
		b = codec.AppendInt32(b, m.Flags)
		if m.Op == OpCreateTTL {
			b = codec.AppendInt64(b, m.TTL)
		}
	case OpDelete, OpCheck:
		b = codec.AppendInt32(b, m.Version)
	case OpSetData:
		b = codec.AppendBytes(b, m.Data)
		b = codec.AppendInt32(b, m.Version)
	}
	return b
}

// MultiRequest is a list of writes, of which all take effect or none.
type MultiRequest struct{ Ops []MultiOp }

// Decode reads m. One operation that is refused refuses them all.
func (m *MultiRequest) Decode(r *codec.Reader) {
	m.Ops = m.Ops[:0]
	size := r.Len()
	for h := (multiHeader{}); ; {
		h.decode(r)
		if h.done || r.Err() != nil {
			return
		}
		m.Ops = extend(m.Ops, size, r.Len()+multiHeaderLen)
		m.Ops[len(m.Ops)-1].decode(r, h.op) // in place: an element decoded before lends its list
	}
}

// Append adds m to b.
func (m *MultiRequest) Append(b []byte) []byte {
	for i := range m.Ops {
		b = m.Ops[i].Append(b)
	}
	return AppendMultiEnd(b)
}

// MultiReadOp is one read of a multiRead: getData or getChildren. Servers ignore Watch.
type MultiReadOp struct {
	Op    Op
	Path  string
	Watch bool
}

// MultiReadRequest is a list of reads, each answered on its own.
type MultiReadRequest struct{ Ops []MultiReadOp }

// Decode reads m. One operation that is refused refuses them all.
func (m *MultiReadRequest) Decode(r *codec.Reader) {
	m.Ops = m.Ops[:0]
	size := r.Len()
	for h := (multiHeader{}); ; {
		h.decode(r)
		if h.done || r.Err() != nil {
			return
		}
		if h.op != OpGetData && h.op != OpGetChildren {
			r.Fail(ErrMulti)
			return
		}
		m.Ops = extend(m.Ops, size, r.Len()+multiHeaderLen)
		m.Ops[len(m.Ops)-1] = MultiReadOp{Op: h.op, Path: string(path(r)), Watch: r.Bool()}
	}
}

// Append adds m to b.
func (m *MultiReadRequest) Append(b []byte) []byte {
	for _, op := range m.Ops {
		b = appendMultiHeader(b, op.Op, false, -1)
		b = codec.AppendString(b, op.Path)
		b = codec.AppendBool(b, op.Watch)
	}
	return AppendMultiEnd(b)
}

// MultiResult is the outcome of one operation of a multi or multiRead. Type says which fields
// count: OpCreate Path; OpCreate2, which also answers createContainer and createTTL, Path and Stat;
// OpSetData Stat; OpGetData Data and Stat; OpGetChildren Children; OpError Err; OpDelete and OpCheck
// none.
//
// In a failed multi every result is an OpError: CodeOK before the operation that failed,
// CodeRuntimeInconsistency after it.
type MultiResult struct {
	Type     Op
	Err      Code
	Path     string
	Data     []byte // nil is null; aliases the frame
	Children []string
	Stat     Stat
}

// Append adds m to b, with its header.
func (m *MultiResult) Append(b []byte) []byte {
	if m.Type == OpError {
		b = appendMultiHeader(b, OpError, false, m.Err)
		return codec.AppendInt32(b, int32(m.Err))
	}
	b = appendMultiHeader(b, m.Type, false, CodeOK)
	switch m.Type {
	case OpCreate:
		b = codec.AppendString(b, m.Path)
	case OpCreate2:
		b = m.Stat.Append(codec.AppendString(b, m.Path))
	case OpSetData:
		b = m.Stat.Append(b)
	case OpGetData:
		b = m.Stat.Append(codec.AppendBytes(b, m.Data))
	case OpGetChildren:
		b = appendStrings(b, m.Children)
	}
	return b
}

// decode reads the record of a result of type op.
func (m *MultiResult) decode(r *codec.Reader, op Op) {
	*m = MultiResult{Type: op}
	switch op {
	case OpCreate:
		m.Path = r.String()
	case OpCreate2:
		m.Path = r.String()
		m.Stat.Decode(r)
	case OpDelete, OpCheck:
	case OpSetData:
		m.Stat.Decode(r)
	case OpGetData:
		m.Data = r.Bytes()
		m.Stat.Decode(r)
	case OpGetChildren:
		m.Children = decodeStrings(r, false)
	case OpError:
		m.Err = Code(r.Int32())
	default:
		r.Fail(ErrMulti)
	}
}

// MultiResponse lists the outcome of each operation of a multi or multiRead, in order.
type MultiResponse struct{ Results []MultiResult }

// Decode reads m.
func (m *MultiResponse) Decode(r *codec.Reader) {
	m.Results = m.Results[:0]
	size := r.Len()
	for h := (multiHeader{}); ; {
		h.decode(r)
		if h.done || r.Err() != nil {
			return
		}
		m.Results = extend(m.Results, size, r.Len()+multiHeaderLen)
		m.Results[len(m.Results)-1].decode(r, h.op)
	}
}

// Append adds m to b.
func (m *MultiResponse) Append(b []byte) []byte {
	for i := range m.Results {
		b = m.Results[i].Append(b)
	}
	return AppendMultiEnd(b)
}
