package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/grovekeeper/grove/internal/codec"
)

// MaxFrame is the default limit of a frame's length, in bytes without the length itself: one less
// than 1 MiB, as every existing client has it.
const MaxFrame = 0xFFFFF

// MaxConnectFrame suffices for every ConnectRequest (45 bytes from known clients): a server need
// not hold more for a connection that has not said who it is.
const MaxConnectFrame = 1 << 10

// FrameError refuses a frame by its length. The stream cannot be read any further.
type FrameError struct {
	Length int32 // as sent
	Limit  int
}

func (e *FrameError) Error() string {
	return fmt.Sprintf("frame length %d is not within 0 and %d", e.Length, e.Limit)
}

// CheckLength returns the length that the first four bytes of a frame state, or a *FrameError if
// it is negative or beyond limit.
func CheckLength(first4 uint32, limit int) (int, error) {
	n := int32(first4)
	if n < 0 || int(n) > limit {
		return 0, &FrameError{Length: n, Limit: limit}
	}
	return int(n), nil
}

// NextFrame cuts the first frame from buf. It returns the frame without its length and what
// follows it; or nil and buf while the frame is not complete; or a *FrameError as soon as the
// length is known to be refused. Neither slice is a copy. An empty frame is not nil.
func NextFrame(buf []byte, limit int) (frame, rest []byte, err error) {
	if len(buf) < 4 {
		return nil, buf, nil
	}
	n, err := CheckLength(binary.BigEndian.Uint32(buf), limit)
	if err != nil {
		return nil, buf, err
	}
	end := 4 + n
	if len(buf) < end {
		return nil, buf, nil
	}
	return buf[4:end:end], buf[end:], nil
}

// BeginFrame starts a frame at the end of b. What is appended between BeginFrame and EndFrame is
// its content, so a reply is written straight into a connection's output buffer:
//
//	b, mark := wire.BeginFrame(b)
//	b = header.Append(b)
//	b = record.Append(b)
//	b = wire.EndFrame(b, mark)
//
// To abandon the frame, cut b back to mark.
func BeginFrame(b []byte) (framed []byte, mark int) {
	return append(b, 0, 0, 0, 0), len(b)
}

// EndFrame completes the frame started at mark by writing its length.
func EndFrame(b []byte, mark int) []byte {
	binary.BigEndian.PutUint32(b[mark:], uint32(len(b)-mark-4))
	return b
}

// BeginReply starts a frame with a reply header of code OK; finish it with EndFrame.
func BeginReply(b []byte, xid int32, zxid int64) (framed []byte, mark int) {
	mark = len(b)
	b = append(b, 0, 0, 0, 0)
	return appendReplyHeader(b, xid, zxid, CodeOK), mark
}

// AppendReply adds a whole frame: a reply without a record. It is the reply of every failure, and
// of the operations that answer with nothing but success.
func AppendReply(b []byte, xid int32, zxid int64, code Code) []byte {
	b = codec.AppendInt32(b, replyHeaderLen)
	return appendReplyHeader(b, xid, zxid, code)
}

// AppendRecordReply adds a whole frame: a reply of code OK with a record. The record escapes to
// the heap through the interface; frequent replies have functions of their own below.
func AppendRecordReply(b []byte, xid int32, zxid int64, body Record) []byte {
	b, mark := BeginReply(b, xid, zxid)
	return EndFrame(body.Append(b), mark)
}

// AppendRequest adds a whole frame: a request with its record, or without if body is nil.
func AppendRequest(b []byte, xid int32, op Op, body Record) []byte {
	b, mark := BeginFrame(b)
	b = codec.AppendInt32(b, xid)
	b = codec.AppendInt32(b, int32(op))
	if body != nil {
		b = body.Append(b)
	}
	return EndFrame(b, mark)
}

const (
	replyHeaderLen = 16
	statLen        = 68
)

func appendReplyHeader(b []byte, xid int32, zxid int64, code Code) []byte {
	var h [replyHeaderLen]byte
	binary.BigEndian.PutUint32(h[0:], uint32(xid))
	binary.BigEndian.PutUint64(h[4:], uint64(zxid))
	binary.BigEndian.PutUint32(h[12:], uint32(code))
	return append(b, h[:]...)
}

// AppendStatReply adds a whole frame: the reply to exists, setData or setACL.
func AppendStatReply(b []byte, xid int32, zxid int64, stat *Stat) []byte {
	b = codec.AppendInt32(b, replyHeaderLen+statLen)
	b = appendReplyHeader(b, xid, zxid, CodeOK)
	return stat.Append(b)
}

// AppendGetDataReply adds a whole frame: the reply to getData. A nil data is sent as null.
func AppendGetDataReply(b []byte, xid int32, zxid int64, data []byte, stat *Stat) []byte {
	b, mark := BeginReply(b, xid, zxid)
	b = codec.AppendBytes(b, data)
	b = stat.Append(b)
	return EndFrame(b, mark)
}

// AppendCreateReply adds a whole frame: the reply to create (1). The other creates answer with
// a Stat: AppendCreate2Reply.
func AppendCreateReply(b []byte, xid int32, zxid int64, path string) []byte {
	b, mark := BeginReply(b, xid, zxid)
	b = codec.AppendString(b, path)
	return EndFrame(b, mark)
}

// AppendCreate2Reply adds a whole frame: the reply to create2, createContainer or createTTL.
func AppendCreate2Reply(b []byte, xid int32, zxid int64, path string, stat *Stat) []byte {
	b, mark := BeginReply(b, xid, zxid)
	b = codec.AppendString(b, path)
	b = stat.Append(b)
	return EndFrame(b, mark)
}

// AppendNotification adds a whole frame: an event of a watch. It is the same for every receiver,
// so one encoding serves them all.
func AppendNotification(b []byte, zxid int64, event EventType, path string) []byte {
	b, mark := BeginFrame(b)
	b = appendReplyHeader(b, XidNotification, zxid, CodeOK)
	w := WatcherEvent{Type: event, State: StateSyncConnected, Path: path}
	return EndFrame(w.Append(b), mark)
}
