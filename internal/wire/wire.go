// Package wire is the ZooKeeper client protocol, version 0, as bytes: one row per operation, one
// type per message, shared by client and server. Each type reads itself with Decode and writes
// itself with Append. It never looks at a socket, a clock or the tree, and no input makes it
// panic or allocate more than a small multiple of that input.
//
// Every message travels in a frame, in both directions:
//
//	 0        4
//	+--------+------------- ... -------------+
//	| length | length bytes                  |     length excludes itself
//	+--------+------------- ... -------------+
//
//	request:       | xid i32 | op i32            | request record  |
//	reply:         | xid i32 | zxid i64 | err i32 | response record |   no record if err is not 0
//	notification:  | -1      | zxid i64 | 0       | WatcherEvent    |
//
// The first message of each side, ConnectRequest and ConnectResponse, has no header. Before it, the
// four length bytes may be an operator's command: see FourLetterWord.
//
// Strings in decoded records are copies. Byte slices in decoded records (data, passwords, tokens)
// alias the frame: who keeps one longer than the frame's buffer copies it.
package wire

import "github.com/grovekeeper/grove/internal/codec"

// Record is a message without its header. Decode overwrites every field; it leaves the reason of
// a refusal in r, in which case the fields mean nothing, and bytes after the record unread, which
// receivers ignore. It may reuse the storage of the lists it overwrites (ACLs, operations, results),
// so a record that is decoded into again must not share those with anything that was kept. Append
// adds the record to the end of b.
type Record interface {
	Decode(r *codec.Reader)
	Append(b []byte) []byte
}

// The transaction ids with a meaning of their own. Servers dispatch on the op of a request, never
// on its xid, and echo the xid, except that a ping is always answered with XidPing.
const (
	XidNotification int32 = -1
	XidPing         int32 = -2
	XidAuth         int32 = -4
	XidSetWatches   int32 = -8
)

// NoZxid stands in reply headers that tell nothing about the state served: notifications replayed
// for SetWatches, and the refusal of an unknown operation.
const NoZxid int64 = -1

// RequestHeader precedes every request but the first of a connection.
type RequestHeader struct {
	Xid int32
	Op  Op
}

// Decode reads h. A frame too short for it has no xid to answer to: servers close the connection.
func (h *RequestHeader) Decode(r *codec.Reader) {
	h.Xid = r.Int32()
	h.Op = Op(r.Int32())
}

// Append adds h to b.
func (h *RequestHeader) Append(b []byte) []byte {
	b = codec.AppendInt32(b, h.Xid)
	return codec.AppendInt32(b, int32(h.Op))
}

// ReplyHeader precedes every reply and notification but the first message of a connection.
type ReplyHeader struct {
	Xid  int32
	Zxid int64
	Err  Code
}

// Decode reads h.
func (h *ReplyHeader) Decode(r *codec.Reader) {
	h.Xid = r.Int32()
	h.Zxid = r.Int64()
	h.Err = Code(r.Int32())
}

// Append adds h to b.
func (h *ReplyHeader) Append(b []byte) []byte {
	b = codec.AppendInt32(b, h.Xid)
	b = codec.AppendInt64(b, h.Zxid)
	return codec.AppendInt32(b, int32(h.Err))
}
