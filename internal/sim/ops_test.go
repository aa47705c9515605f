package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

// opKind is what a client may ask for.
type opKind int

const (
	opSet opKind = iota
	opSetIf
	opCreate
	opEphemeral
	opSequential
	opContainer
	opTTL
	opDelete
	opMulti
	opGet
	opWatch
	opChildren
	opWatchChildren
	opPersistent
	opRecursive
	opSync
	opPing
	opClose
	opRearm // what is asked first on a new connection
	opKinds
)

var opNames = [...]string{"set", "set-if", "create", "ephemeral", "sequential", "container", "ttl", "delete", "multi",
	"get", "watch", "children", "watch-children", "persistent", "recursive", "sync", "ping", "close", "rearm"}

func (k opKind) write() bool { return k <= opMulti || k == opClose }

const flagEphemeral, flagSequential = 1, 2

// op is one request of a client.
type op struct {
	number  uint64
	kind    opKind
	command state.Command // of a write
	path    string
	rearm   []armed    // of a rearm
	since   znode.Zxid // likewise: the last zxid that the client saw

	asked   int64
	atLeast uint64 // the highest zxid of a write that anybody was told of before
	ticket  uint64 // in the connection
	given   bool   // to the log, or to whoever confirms a sync
	result  *feed.Completion
	zxid    znode.Zxid
	err     error
	done    bool // the client has the answer
}

func parentPath(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}
	return "/"
}

var openList = []znode.ACE{{Perms: znode.PermAll, Scheme: "world", ID: "anyone"}}

// drawPath picks a node: a top, or something below one.
func (s *sim) drawPath(r *rand.Rand) string {
	path := "/" + string(rune('a'+r.IntN(s.opt.paths)))
	if r.IntN(2) == 0 {
		path += "/" + string(rune('x'+r.IntN(3)))
	}
	return path
}

// drawOp makes a request of a client.
func (c *client) drawOp() *op {
	r, s := c.r, c.s
	total := 0
	for k := range opClose {
		total += s.opt.mixes[k]
	}
	kind, left := opKind(0), r.IntN(total)
	for left >= s.opt.mixes[kind] {
		left -= s.opt.mixes[kind]
		kind++
	}
	o := &op{number: s.number(), kind: kind, path: s.drawPath(r)}
	if kind.write() {
		o.command = state.Command{Kind: state.Multi, ClientOp: o.number}
		if kind == opMulti {
			for range 1 + r.IntN(4) {
				edit := pick(r, opSet, opCreate, opDelete, opSequential, opEphemeral)
				o.command.Multi = append(o.command.Multi, s.drawEdit(r, edit, o.number))
			}
		} else {
			o.command.Op = s.drawEdit(r, kind, o.number)
			o.command.Op.Path = strings.Replace(o.command.Op.Path, "//", "/", 1)
			o.command.Kind = o.command.Op.Kind
			o.path = o.command.Op.Path
		}
	}
	return o
}

// drawEdit makes one edit of the tree.
func (s *sim) drawEdit(r *rand.Rand, kind opKind, number uint64) state.Op {
	e := state.Op{Kind: state.Create, Path: s.drawPath(r), Data: fmt.Append(nil, number), ACL: openList, TTL: -1}
	switch kind {
	case opSet:
		e = state.Op{Kind: state.Set, Path: e.Path, Data: e.Data, Version: -1}
	case opSetIf:
		e = state.Op{Kind: state.Set, Path: e.Path, Data: e.Data, Version: int32(r.IntN(4))}
	case opDelete:
		e = state.Op{Kind: state.Delete, Path: e.Path, Version: -1}
	case opEphemeral:
		e.Flags = flagEphemeral
		e.Path = parentPath(e.Path)
		if e.Path == "/" {
			e.Path = ""
		}
		e.Path += "/e" + string(rune('0'+r.IntN(4)))
	case opSequential:
		e.Flags = flagSequential | r.Int32N(2)*flagEphemeral
		e.Path += pick(r, "/", "/s-")
	case opContainer:
		e.Flags, e.Class = 4, znode.ClassContainer
	case opTTL:
		e.Flags, e.Class, e.TTL = 5, znode.ClassTTL, 300+r.Int64N(1000)
	}
	return e
}

// closing asks for the end of the session.
func (c *client) closing() *op {
	n := c.s.number()
	return &op{number: n, kind: opClose, command: state.Command{Kind: state.CloseSession, ClientOp: n}}
}

// encode makes what the log is to have of a write.
func (o *op) encode(n *server, id session.ID, epoch uint32) []byte {
	c := &o.command
	c.Origin, c.Session, c.Epoch, c.Time = n.feed.Origin(), id, epoch, n.wallMs()
	return state.AppendCommand(nil, c)
}
