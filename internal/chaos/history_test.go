//go:build linux

package chaos

import (
	"fmt"
	"strings"

	"github.com/grovekeeper/grove/internal/wire"
)

// op is one request: what was asked, when, and what came of it.
type op struct {
	worker  int
	session int64
	life    int // of the worker: which of its connections
	kind    wire.Op
	path    string // as asked: a sequential create ends in the prefix
	token   string // names this request; the data written begins with it
	data    string
	flags   int32
	version int32
	parts   []wire.MultiOp // of a multi
	doomed  bool           // a multi made to fail
	synced  bool           // a read sent behind a sync of its own
	owned   []string       // closeSession: the ephemerals that go with it

	call  int64 // ns since the run began
	after int64 // highest zxid any client had seen by then

	ret   int64 // 0: no answer came
	zxid  int64
	code  wire.Code
	made  string // create: the path made
	stat  wire.Stat
	value string // read
	multi []wire.MultiResult
	fate  fate
}

// fate says whether a request without an answer was done, once the tree has been looked at.
type fate uint8

const (
	unclear fate = iota // it may have been, and overwritten since
	done
	undone
)

func (o *op) answered() bool { return o.ret != 0 }

// held tells whether the request was answered with success.
func (o *op) held() bool {
	if !o.answered() || o.code != wire.CodeOK {
		return false
	}
	return o.kind != wire.OpMulti || len(o.multi) == 0 || o.multi[0].Type != wire.OpError
}

func (o *op) writes() bool { return o.kind != wire.OpGetData }

func (o *op) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "worker %d, session 0x%x: %v %s %s version %d", o.worker, o.session, o.kind, o.path, o.token, o.version)
	if !o.answered() {
		fmt.Fprintf(&b, ": sent at %d (zxid %d), no answer", o.call, o.after)
	} else {
		fmt.Fprintf(&b, ": sent at %d, at %d %v zxid %d, version %d %s %s",
			o.call, o.ret, o.code, o.zxid, o.stat.Version, o.made, brief(o.value))
	}
	return b.String()
}

func brief(data string) string {
	token, _, _ := strings.Cut(data, "|")
	return token
}

// An effect is what one request does to one node.
type effect struct {
	op      *op
	kind    wire.Op // create, setData, delete or getData
	path    string
	data    string
	version int32 // wanted by setData and delete; of a read, found

	sure  bool      // it was answered: then with
	code  wire.Code // this
	stamp int32     // and, from setData, this version
}

// effects takes a request apart by node. A request that was refused as a whole has none, and neither has a
// sequential create of which nobody knows the number.
func (o *op) effects() []effect {
	one := effect{op: o, kind: o.kind, path: o.path, data: o.data, version: o.version, sure: o.answered(), code: o.code}
	switch o.kind {
	case wire.OpCreate2:
		one.kind = wire.OpCreate
		if o.flags&wire.FlagSequential != 0 {
			one.path = o.made
		}
		if one.path == "" || !o.answered() && o.fate == undone {
			return nil
		}
	case wire.OpSetData:
		one.stamp = o.stat.Version
	case wire.OpGetData:
		one.data, one.version = o.value, o.stat.Version
		if !o.answered() {
			return nil
		}
	case wire.OpMulti:
		return o.multiEffects()
	case wire.OpCloseSession:
		return o.closeEffects(one)
	}
	return []effect{one}
}

func (o *op) multiEffects() []effect {
	if o.doomed || o.answered() && !o.held() {
		return nil
	}
	var list []effect
	for i, p := range o.parts {
		e := effect{op: o, kind: p.Op, path: p.Path, data: string(p.Data), version: p.Version, sure: o.answered()}
		if o.answered() {
			e.stamp = o.multi[i].Stat.Version
		}
		if e.kind == wire.OpCreate2 {
			e.kind = wire.OpCreate
		}
		if e.kind != wire.OpCheck {
			list = append(list, e)
		}
	}
	return list
}

func (o *op) closeEffects(one effect) []effect {
	var list []effect
	one.kind, one.version = wire.OpDelete, -1
	for _, path := range o.owned {
		one.path = path
		list = append(list, one)
	}
	return list
}

// changes tells whether the effect is known to have changed its node.
func (e *effect) changes() bool {
	return e.sure && e.code == wire.CodeOK && e.kind != wire.OpGetData
}
