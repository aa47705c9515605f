package peer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// magic opens a connection in both directions. The first byte is no TLS record and no length a
// ZooKeeper peer would send.
const magic = "\xf6GROVE\x00\x01"

// version is of what follows the magic. Servers of one version understand each other; a later one
// may add to the end of a hello, which an earlier one ignores, and say so among the features.
const version = 1

const (
	helloMax   = 1 << 10 // bytes of a hello or welcome
	helloSize  = 2 + 1 + 1 + 4*8
	answerSize = 2 + 1 + 3*8
)

// channel is what a connection is for.
type channel uint8

const (
	urgent channel = iota + 1
	bulk
	commands
	asks
	image
)

func (c channel) String() string {
	if c < urgent || c > image {
		return fmt.Sprintf("channel %d", uint8(c))
	}
	return [...]string{"urgent", "bulk", "commands", "asks", "image"}[c-1]
}

// hello is the dialler's introduction.
//
//	version u16 | channel u8 | to number u8 | cluster u64 | from node u64 | to node u64 | features u64
type hello struct {
	version  uint16
	channel  channel
	id       uint8  // the number of who is called
	cluster  uint64 // 0: none yet
	from     uint64 // node
	to       uint64 // node; 0: whoever has the number
	features uint64 // none yet
}

// welcome answers it.
//
//	version u16 | code u8 | cluster u64 | node u64 | features u64
type welcome struct {
	version  uint16
	code     Code
	cluster  uint64
	node     uint64
	features uint64
}

// Code is the answer to a hello. It is on the wire: a number is never used for something else.
type Code uint8

// The codes.
const (
	Welcome Code = iota
	WrongCluster
	WrongServer
	NotMember
	Removed
	WrongVersion
	Unproven // the certificate does not say what the hello says
	Busy
	WrongChannel
)

func (c Code) String() string {
	names := [...]string{
		"welcome", "another cluster", "another server", "not a member", "removed", "another version",
		"certificate is for somebody else", "busy",
		"another channel",
	}
	if int(c) >= len(names) {
		return fmt.Sprintf("code %d", uint8(c))
	}
	return names[c]
}

// RefusedError says that a server refused a connection, or that we refused who answered.
type RefusedError struct {
	Code    Code
	Cluster uint64 // of who refused
	Node    uint64
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("refused: %v (server %d, node %#x of cluster %#x)", e.Code, uint8(e.Node), e.Node, e.Cluster)
}

// errMagic says that the other side speaks something else.
var errMagic = errors.New("speaks another protocol")

// errPlainTLS says that the other side speaks TLS and we do not.
var errPlainTLS = errors.New("speaks TLS, and TLS is not configured here")

func (h *hello) append(b []byte) []byte {
	b, at := openFrame(append(b, magic...))
	b = binary.BigEndian.AppendUint16(b, h.version)
	b = append(b, uint8(h.channel), h.id)
	for _, v := range [...]uint64{h.cluster, h.from, h.to, h.features} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return closeFrame(b, at, kindHello)
}

func (w *welcome) append(b []byte) []byte {
	b, at := openFrame(append(b, magic...))
	b = binary.BigEndian.AppendUint16(b, w.version)
	b = append(b, uint8(w.code))
	for _, v := range [...]uint64{w.cluster, w.node, w.features} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return closeFrame(b, at, kindWelcome)
}

// readOpening reads magic and one frame, of at most helloMax bytes and not a byte beyond it.
func readOpening(from io.Reader, kind uint8) ([]byte, error) {
	var opening [len(magic) + headBytes]byte
	if _, err := io.ReadFull(from, opening[:len(magic)]); err != nil {
		return nil, err
	}
	if got := opening[:len(magic)]; string(got) != magic {
		if got[0] == 0x16 && got[1] == 0x03 { // a handshake record
			return nil, errPlainTLS
		}
		return nil, fmt.Errorf("%w: begins with %q", errMagic, got)
	}
	if _, err := io.ReadFull(from, opening[len(magic):]); err != nil {
		return nil, whole(err)
	}
	h, err := parseHead(opening[len(magic):], helloMax)
	if err != nil {
		return nil, err
	}
	if h.kind != kind {
		return nil, fmt.Errorf("%w: kind %d", errKind, h.kind)
	}
	r := reader{from: from}
	h.kind = kindHeavy // memory of its own: there is no buffer yet
	body, err := r.body(h)
	if err != nil {
		return nil, err
	}
	return body, checkBody(body, h.check)
}

func readHello(from io.Reader) (hello, error) {
	b, err := readOpening(from, kindHello)
	if err != nil {
		return hello{}, err
	}
	if len(b) < helloSize {
		return hello{}, fmt.Errorf("%w: hello of %d bytes", errBody, len(b))
	}
	return hello{
		version: binary.BigEndian.Uint16(b), channel: channel(b[2]), id: b[3],
		cluster: binary.BigEndian.Uint64(b[4:]), from: binary.BigEndian.Uint64(b[12:]),
		to: binary.BigEndian.Uint64(b[20:]), features: binary.BigEndian.Uint64(b[28:]),
	}, nil
}

func readWelcome(from io.Reader) (welcome, error) {
	b, err := readOpening(from, kindWelcome)
	if err != nil {
		return welcome{}, err
	}
	if len(b) < answerSize {
		return welcome{}, fmt.Errorf("%w: welcome of %d bytes", errBody, len(b))
	}
	return welcome{
		version: binary.BigEndian.Uint16(b), code: Code(b[2]),
		cluster: binary.BigEndian.Uint64(b[3:]), node: binary.BigEndian.Uint64(b[11:]),
		features: binary.BigEndian.Uint64(b[19:]),
	}, nil
}

// identity is who we are.
type identity struct{ node, cluster uint64 }

// judge says how h is to be answered, as far as names go.
func (me identity) judge(h *hello) Code {
	switch {
	case h.version != version:
		return WrongVersion
	case h.id != uint8(me.node) || h.to != 0 && h.to != me.node:
		return WrongServer
	case h.from == 0 || h.from == me.node:
		return NotMember
	case h.channel == asks && (h.cluster == 0 || me.cluster == 0):
		return Welcome // one of us does not know yet; to find out is what it asks for
	case h.cluster != me.cluster || me.cluster == 0:
		return WrongCluster
	default:
		return Welcome
	}
}

// accept says whether w is the answer of who was called.
func (me identity) accept(h *hello, w *welcome) error {
	code := w.code
	switch {
	case code != Welcome:
	case w.version != version:
		code = WrongVersion
	case uint8(w.node) != h.id || h.to != 0 && w.node != h.to:
		code = WrongServer
	case w.cluster != h.cluster && (h.channel != asks || w.cluster != 0 && h.cluster != 0):
		code = WrongCluster
	}
	if code == Welcome {
		return nil
	}
	return &RefusedError{Code: code, Cluster: w.cluster, Node: w.node}
}
