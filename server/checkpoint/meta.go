package checkpoint

import (
	"errors"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/znode"
)

// Meta is what a checkpoint holds besides nodes, sessions and recent changes. It is written in the
// same transaction as they are.
type Meta struct {
	Cluster, Member, Incarnation uint64 // whose state this is

	Term    uint64 // of the log entry at State.Zxid
	Members []byte // the voters and learners at that entry, as the replica encodes them
	Extra   []byte // whatever else the server must find again, such as its secrets

	State state.Meta // zxid, time, origins and digest; Write takes it from the view
}

// ledger is the rest of the meta record: what the store needs to know of its own buckets.
type ledger struct {
	nodes    uint64 // records, once what is staged is in place
	sessions uint64
	staged   bool // what stands in the staged buckets is part of the state

	recentFrom  znode.Zxid // changes above it are complete
	recentFirst uint64     // number of the oldest block
	recentNext  uint64     // number after that of the newest block
}

// metaKey is that of the only record of metaBucket.
var metaKey = []byte("meta")

const metaVersion = 1

var errFormat = errors.New("malformed record")

// appendMeta adds the encoding of the meta record:
//
//	version u8 | cluster, member, incarnation, term u64 | members, extra, state buffer each |
//	nodes, sessions u64 | staged u8 | recentFrom i64 | recentFirst, recentNext u64
func appendMeta(b []byte, m Meta, l ledger) []byte {
	b = append(b, metaVersion)
	for _, v := range [...]uint64{m.Cluster, m.Member, m.Incarnation, m.Term} {
		b = codec.AppendUint64(b, v)
	}
	b = codec.AppendBytes(b, m.Members)
	b = codec.AppendBytes(b, m.Extra)
	b = codec.AppendBytes(b, state.AppendMeta(nil, m.State))
	b = codec.AppendUint64(b, l.nodes)
	b = codec.AppendUint64(b, l.sessions)
	b = codec.AppendBool(b, l.staged)
	b = codec.AppendInt64(b, int64(l.recentFrom))
	b = codec.AppendUint64(b, l.recentFirst)
	return codec.AppendUint64(b, l.recentNext)
}

// decodeMeta reads what appendMeta wrote. It fails with ErrNewer or errFormat.
func decodeMeta(b []byte) (Meta, ledger, error) {
	r := codec.NewReader(b)
	if v := r.Byte(); v > metaVersion {
		return Meta{}, ledger{}, ErrNewer
	}
	m := Meta{Cluster: r.Uint64(), Member: r.Uint64(), Incarnation: r.Uint64(), Term: r.Uint64()}
	m.Members = append(m.Members, r.Bytes()...)
	m.Extra = append(m.Extra, r.Bytes()...)
	var err error
	m.State, err = state.DecodeMeta(r.Bytes())
	l := ledger{nodes: r.Uint64(), sessions: r.Uint64(), staged: r.Bool()}
	l.recentFrom = znode.Zxid(r.Int64())
	l.recentFirst, l.recentNext = r.Uint64(), r.Uint64()
	if err != nil || r.Err() != nil || r.Len() != 0 || l.recentNext < l.recentFirst {
		return Meta{}, ledger{}, errFormat
	}
	return m, l, nil
}
