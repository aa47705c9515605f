package peer

import (
	"encoding/binary"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// A frame of messages:
//
//	messages uvarint | entries uvarint | one message after the other | padding
//
// A message: its type, a byte that says which fields follow, the fields. From and To are those of
// the connection.
//
//	type | fields | term? logTerm? index? commit? rejectHint? uvarint | context? | entries?
//	context   length uvarint, bytes
//	entries   count uvarint, then each: flags | index? uvarint | term? uvarint | length uvarint, bytes
//
// The first entry is expected at index+1 with logTerm, every other one behind the one before it
// with its term, so what an append carries costs two to four bytes beside its payload.
const (
	hasTerm = uint8(1) << iota
	hasLogTerm
	hasIndex
	hasCommit
	hasRejectHint
	hasReject // itself the value
	hasContext
	hasEntries
)

const (
	entryIndex = uint8(1) << iota // the index is not the next one
	entryTerm                     // the term is not that of the one before
	entryNil                      // the payload is nil, not empty
	entryType  = uint8(3) << 3    // the type
	typeShift  = 3
)

// Memory that decoding takes for each of these, at most. A frame is as long as a quarter of what
// it costs to decode beyond allowance: one that would be shorter is padded, so that a few bytes
// cannot make a receiver allocate many.
const (
	messageCost = 384
	entryCost   = 128
	commandCost = 24
	allowance   = 1 << 20
)

// Lanes of messages. The zero value is for what does not travel.
const (
	laneNone = uint8(iota)
	laneUrgent
	laneBulk
	laneImage
)

// lanes says on which connection a type of message travels. What a member says to itself does not,
// nor do proposals: commands have a way of their own.
var lanes = [32]uint8{
	pb.MsgVote: laneUrgent, pb.MsgVoteResp: laneUrgent,
	pb.MsgPreVote: laneUrgent, pb.MsgPreVoteResp: laneUrgent,
	pb.MsgHeartbeat: laneUrgent, pb.MsgHeartbeatResp: laneUrgent,
	pb.MsgReadIndex: laneUrgent, pb.MsgReadIndexResp: laneUrgent,
	pb.MsgTimeoutNow: laneUrgent,
	pb.MsgApp:        laneBulk, pb.MsgAppResp: laneBulk,
	pb.MsgSnap: laneImage,
}

func laneOf(t pb.MessageType) uint8 {
	if t < 0 || int(t) >= len(lanes) {
		return laneNone
	}
	return lanes[t]
}

// weigh returns about how many bytes m is on the wire, and never less.
func weigh(m *pb.Message) int {
	n := 64 + len(m.Context)
	for _, e := range m.Entries {
		n += entryCost/4 + len(e.Data)
	}
	return n
}

// padding returns how long a body must be for what decoding it costs.
func padding(cost int) int { return max(0, (cost-allowance)/4) }

// pad makes the body that begins at at long enough for its cost.
func pad(b []byte, at, cost int) []byte {
	if short := padding(cost) - (len(b) - at); short > 0 {
		b = append(b, make([]byte, short)...)
	}
	return b
}

// appendMessages adds a body with all of messages.
func appendMessages(b []byte, messages []*pb.Message) []byte {
	entries, at := 0, len(b)
	for _, m := range messages {
		entries += len(m.Entries)
	}
	b = binary.AppendUvarint(b, uint64(len(messages)))
	b = binary.AppendUvarint(b, uint64(entries))
	for _, m := range messages {
		b = appendMessage(b, m)
	}
	return pad(b, at, len(messages)*messageCost+entries*entryCost)
}

func appendMessage(b []byte, m *pb.Message) []byte {
	at := len(b) + 1
	fields := uint8(0)
	b = append(b, uint8(m.GetType()), 0)
	b, fields = appendNumber(b, fields, hasTerm, m.Term)
	b, fields = appendNumber(b, fields, hasLogTerm, m.LogTerm)
	b, fields = appendNumber(b, fields, hasIndex, m.Index)
	b, fields = appendNumber(b, fields, hasCommit, m.Commit)
	b, fields = appendNumber(b, fields, hasRejectHint, m.RejectHint)
	if m.GetReject() {
		fields |= hasReject
	}
	if len(m.Context) > 0 {
		fields |= hasContext
		b = binary.AppendUvarint(b, uint64(len(m.Context)))
		b = append(b, m.Context...)
	}
	if len(m.Entries) > 0 {
		fields |= hasEntries
		b = appendEntries(b, m)
	}
	b[at] = fields
	return b
}

func appendNumber(b []byte, fields, bit uint8, v *uint64) ([]byte, uint8) {
	if v == nil || *v == 0 {
		return b, fields
	}
	return binary.AppendUvarint(b, *v), fields | bit
}

func appendEntries(b []byte, m *pb.Message) []byte {
	b = binary.AppendUvarint(b, uint64(len(m.Entries)))
	index, term := m.GetIndex(), m.GetLogTerm()
	for _, e := range m.Entries {
		at := len(b)
		flags := uint8(e.GetType()) << typeShift
		b = append(b, 0)
		if index++; e.GetIndex() != index {
			flags |= entryIndex
			index = e.GetIndex()
			b = binary.AppendUvarint(b, index)
		}
		if e.GetTerm() != term {
			flags |= entryTerm
			term = e.GetTerm()
			b = binary.AppendUvarint(b, term)
		}
		if e.Data == nil {
			flags |= entryNil
		} else {
			b = binary.AppendUvarint(b, uint64(len(e.Data)))
			b = append(b, e.Data...)
		}
		b[at] = flags
	}
	return b
}

// appendImage adds a body with the one message that names an image.
func appendImage(b []byte, m *pb.Message) ([]byte, error) {
	b = appendMessages(b, []*pb.Message{m})
	return proto.MarshalOptions{}.MarshalAppend(b, m.GetSnapshot())
}
