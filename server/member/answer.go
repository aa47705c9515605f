package member

import (
	"errors"
	"fmt"

	"github.com/grovekeeper/grove/internal/codec"
)

// Answer is what a server says of itself: an empty one when it asks, and every one when it is asked.
//
//	+---+------+---------+-------+------+-------+------+--------+----------+
//	| 1 | node | cluster | table | sees | peers | line | voters | learners |     nodes, hashes: 8 bytes
//	+---+------+---------+-------+------+-------+------+--------+----------+
type Answer struct {
	Node             Node
	Cluster          uint64 // 0: empty; Voters and Learners say nothing then, as the rest does if not
	Table            uint64 // Table.Hash of the peers it was given
	Sees             uint64 // as Verdict.Sees: the cluster it would found by what it has heard; 0: none yet
	Peers            string // the lines behind Table, so that a difference can be named
	Line             string // its own, which alone tells where its clients connect
	Voters, Learners []Node
}

// Empty returns what a server without data says that has heard nothing yet.
func Empty(self Node, table Table) Answer {
	a := Answer{Node: self, Table: table.Hash(), Peers: table.peers()}
	if m, listed := table.Find(self.ID()); listed {
		a.Line = m.String()
	}
	return a
}

// Candidate is what a server says that wants to be let in.
//
//	+---+------+------+
//	| 1 | node | line |     line: that of /zookeeper/config
//	+---+------+------+
type Candidate struct {
	Node   Node
	Member Member // as its own configuration has it
}

const (
	messageVersion = 1
	nodesMax       = 1024 // 255 numbers, and a few that are being replaced
)

// ErrMessage says that the bytes of an Answer or a Candidate are none.
var ErrMessage = errors.New("not a message about the membership")

// Append adds the bytes of a to b.
func (a Answer) Append(b []byte) []byte {
	b = codec.AppendByte(b, messageVersion)
	for _, v := range [...]uint64{uint64(a.Node), a.Cluster, a.Table, a.Sees} {
		b = codec.AppendUint64(b, v)
	}
	b = codec.AppendString(codec.AppendString(b, a.Peers), a.Line)
	return appendNodes(appendNodes(b, a.Voters), a.Learners)
}

func appendNodes(b []byte, nodes []Node) []byte {
	b = codec.AppendCount(b, len(nodes))
	for _, n := range nodes {
		b = codec.AppendUint64(b, uint64(n))
	}
	return b
}

// DecodeAnswer reads what Append wrote. The error is an ErrMessage.
func DecodeAnswer(b []byte) (Answer, error) {
	r := codec.NewReader(b)
	version(&r)
	a := Answer{Node: readNode(&r), Cluster: r.Uint64(), Table: r.Uint64(), Sees: r.Uint64()}
	a.Peers, a.Line = readString(&r, tableBytesMax), readString(&r, tableBytesMax)
	a.Voters, a.Learners = readNodes(&r), readNodes(&r)
	if err := end(&r); err != nil {
		return Answer{}, err
	}
	return a, nil
}

// Append adds the bytes of c to b.
func (c Candidate) Append(b []byte) []byte {
	b = codec.AppendByte(b, messageVersion)
	b = codec.AppendUint64(b, uint64(c.Node))
	return codec.AppendString(b, c.Member.String())
}

// DecodeCandidate reads what Append wrote. The error is an ErrMessage. The member has the number of
// the node, and at least one address.
func DecodeCandidate(b []byte) (Candidate, error) {
	r := codec.NewReader(b)
	version(&r)
	node, line := readNode(&r), readString(&r, tableBytesMax)
	if err := end(&r); err != nil {
		return Candidate{}, err
	}
	t, err := ParseTable([]byte(line))
	if err != nil {
		return Candidate{}, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	m, ok := t.Find(node.ID())
	if !ok || len(t.Members) != 1 {
		return Candidate{}, fmt.Errorf("%w: node %v says it is %q", ErrMessage, node, line)
	}
	return Candidate{node, m}, nil
}

func version(r *codec.Reader) {
	if v := r.Byte(); v != messageVersion {
		r.Fail(fmt.Errorf("version %d is not known", v))
	}
}

func readNode(r *codec.Reader) Node {
	n := Node(r.Uint64())
	if n.ID() == 0 {
		r.Fail(errors.New("a node without a number"))
	}
	return n
}

func readString(r *codec.Reader, bytesMax int) string {
	b := r.Bytes()
	if len(b) > bytesMax {
		r.Fail(fmt.Errorf("%d bytes of text: at most %d", len(b), bytesMax))
		return ""
	}
	return string(b)
}

func readNodes(r *codec.Reader) []Node {
	n := r.Count(8)
	if n > nodesMax {
		r.Fail(fmt.Errorf("%d nodes: at most %d", n, nodesMax))
		return nil
	}
	var nodes []Node
	for range n {
		nodes = append(nodes, readNode(r))
	}
	return nodes
}

func end(r *codec.Reader) error {
	if r.Err() == nil && r.Len() > 0 {
		r.Fail(fmt.Errorf("%d bytes too many", r.Len()))
	}
	if r.Err() != nil {
		return fmt.Errorf("%w: %w", ErrMessage, r.Err())
	}
	return nil
}
