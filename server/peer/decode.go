package peer

import (
	"encoding/binary"
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// letter is a message with the memory its fields point to, so that a frame of messages is one
// allocation. Nobody writes to it again: Raft replaces fields, never what they point to.
type letter struct {
	m pb.Message

	from, to                                 uint64
	term, logTerm, index, commit, rejectHint uint64
	context                                  [8]byte // the longest that heartbeats have
}

// slip is an entry with its number.
type slip struct {
	e     pb.Entry
	index uint64
}

// What fields of many messages point to. They are never written to.
var (
	types   = everyType()
	kinds   = [...]pb.EntryType{pb.EntryNormal, pb.EntryConfChange, pb.EntryConfChangeV2}
	refused = true
)

// everyType returns the types of messages, each at its own number.
func everyType() (all [len(lanes)]pb.MessageType) {
	for i := range all {
		all[i] = pb.MessageType(i)
	}
	return all
}

// decoder reads the body of a frame. The first failure sticks.
type decoder struct {
	rest  []byte
	image bool // a message that names an image is what we are after; elsewhere it is out of place
	bad   bool
}

func (d *decoder) byte() uint8 {
	if len(d.rest) == 0 {
		d.bad = true
		return 0
	}
	v := d.rest[0]
	d.rest = d.rest[1:]
	return v
}

func (d *decoder) uvarint() uint64 {
	if len(d.rest) > 0 && d.rest[0] < 0x80 { // most are
		v := d.rest[0]
		d.rest = d.rest[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.bad, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// count reads how many things follow, each of which takes at least size bytes.
func (d *decoder) count(size int) int {
	v := d.uvarint()
	if v > uint64(len(d.rest)/size) {
		d.bad, d.rest = true, nil
		return 0
	}
	return int(v)
}

// bytes reads a length and that many bytes, which alias the input.
func (d *decoder) bytes() []byte {
	n := d.count(1)
	v := d.rest[:n:n]
	d.rest = d.rest[n:]
	return v
}

// err is nil if all was well.
func (d *decoder) err(what string) error {
	if d.bad {
		return fmt.Errorf("%w: %s", errBody, what)
	}
	return nil
}

// slabs is the memory of a frame's messages that is left.
type slabs struct {
	letters []letter
	slips   []slip
	entries []*pb.Entry
}

// decodeMessages appends the messages of a frame to out. Those of a heavy one alias body, others
// do not.
func decodeMessages(out []*pb.Message, kind uint8, body []byte, from, to uint64) ([]*pb.Message, error) {
	d := decoder{rest: body}
	return d.messages(out, kind == kindHeavy, from, to)
}

func (d *decoder) messages(out []*pb.Message, heavy bool, from, to uint64) ([]*pb.Message, error) {
	size := len(d.rest)
	messages := d.count(2)
	entries := d.count(1)
	if entries > 0 && !heavy {
		return out, fmt.Errorf("%w: entries in a frame of messages without", errBody)
	}
	if padding(messages*messageCost+entries*entryCost) > size {
		return out, fmt.Errorf("%w: %d messages and %d entries in %d bytes", errBody, messages, entries, size)
	}
	if d.bad {
		return out, d.err("counts")
	}
	s := slabs{letters: make([]letter, messages)}
	if entries > 0 {
		s.slips, s.entries = make([]slip, entries), make([]*pb.Entry, entries)
	}
	for i := range s.letters {
		l := &s.letters[i]
		l.from, l.to = from, to
		d.message(l, &s)
		if d.bad {
			return out, d.err("message")
		}
		out = append(out, &l.m)
	}
	return out, nil
}

func (d *decoder) message(l *letter, s *slabs) {
	m, t := &l.m, d.byte()
	if lane := laneOf(pb.MessageType(t)); lane == laneNone || d.image != (lane == laneImage) {
		d.bad = true
		return
	}
	fields := d.byte()
	m.Type, m.From, m.To = &types[t], &l.from, &l.to
	m.Term = d.number(&l.term, fields&hasTerm)
	m.LogTerm = d.number(&l.logTerm, fields&hasLogTerm)
	m.Index = d.number(&l.index, fields&hasIndex)
	m.Commit = d.number(&l.commit, fields&hasCommit)
	m.RejectHint = d.number(&l.rejectHint, fields&hasRejectHint)
	if fields&hasReject != 0 {
		m.Reject = &refused
	}
	if fields&hasContext != 0 {
		m.Context = append(l.context[:0:len(l.context)], d.bytes()...)
	}
	if fields&hasEntries != 0 {
		d.entries(l, s)
	}
}

func (d *decoder) number(to *uint64, has uint8) *uint64 {
	if has == 0 {
		return nil
	}
	*to = d.uvarint()
	return to
}

func (d *decoder) entries(l *letter, s *slabs) {
	n := d.count(1)
	if n > len(s.slips) {
		d.bad = true
		return
	}
	slips, entries := s.slips[:n], s.entries[:n:n]
	s.slips, s.entries = s.slips[n:], s.entries[n:]
	index, term := l.index, &l.logTerm
	for i := range slips {
		p := &slips[i]
		flags := d.byte()
		if index++; flags&entryIndex != 0 {
			index = d.uvarint()
		}
		if flags&entryTerm != 0 {
			term = new(d.uvarint()) // entries of one term share its number
		}
		p.index = index
		p.e.Index, p.e.Term = &p.index, term
		if kind := flags & entryType >> typeShift; int(kind) < len(kinds) {
			p.e.Type = &kinds[kind]
		} else {
			d.bad = true
		}
		if flags&entryNil == 0 {
			p.e.Data = d.bytes()
		}
		entries[i] = &p.e
	}
	l.m.Entries = entries
}

// decodeImage reads what appendImage wrote. Nothing of it aliases body.
func decodeImage(body []byte, from, to uint64) (*pb.Message, error) {
	d := decoder{rest: body, image: true}
	out, err := d.messages(nil, false, from, to)
	if err != nil {
		return nil, err
	}
	if len(out) != 1 {
		return nil, fmt.Errorf("%w: no image is named", errBody)
	}
	snap := &pb.Snapshot{}
	if err := proto.Unmarshal(d.rest, snap); err != nil {
		return nil, fmt.Errorf("%w: image: %w", errBody, err)
	}
	out[0].Snapshot = pb.EnsureSnapshot(snap)
	return out[0], nil
}

// appendCommands adds a body with commands of one term.
func appendCommands(b []byte, term uint64, commands [][]byte) []byte {
	at := len(b)
	b = binary.AppendUvarint(b, term)
	b = binary.AppendUvarint(b, uint64(len(commands)))
	for _, c := range commands {
		b = binary.AppendUvarint(b, uint64(len(c)))
		b = append(b, c...)
	}
	return pad(b, at, len(commands)*commandCost)
}

// decodeCommands reads what appendCommands wrote. The commands alias body.
func decodeCommands(body []byte) (term uint64, commands [][]byte, err error) {
	d := decoder{rest: body}
	term = d.uvarint()
	n := d.count(1)
	if padding(n*commandCost) > len(body) {
		return 0, nil, fmt.Errorf("%w: %d commands in %d bytes", errBody, n, len(body))
	}
	commands = make([][]byte, n)
	for i := range commands {
		commands[i] = d.bytes()
	}
	return term, commands, d.err("commands")
}

// appendHeard adds a body with sessions.
func appendHeard(b []byte, sessions []int64) []byte {
	for _, s := range sessions {
		b = binary.BigEndian.AppendUint64(b, uint64(s))
	}
	return b
}

// decodeHeard reads what appendHeard wrote.
func decodeHeard(body []byte) ([]int64, error) {
	if len(body)%8 != 0 {
		return nil, fmt.Errorf("%w: sessions in %d bytes", errBody, len(body))
	}
	sessions := make([]int64, len(body)/8)
	for i := range sessions {
		sessions[i] = int64(binary.BigEndian.Uint64(body[8*i:]))
	}
	return sessions, nil
}
