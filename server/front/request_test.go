package front_test

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/wire"
)

// line is one command taken apart: words, and attributes of the form key=value.
type line struct {
	words []string
	attrs map[string]string
}

func parse(text string) line {
	l := line{attrs: map[string]string{}}
	for _, f := range strings.Fields(text) {
		if k, v, ok := strings.Cut(f, "="); ok {
			l.attrs[k] = v
		} else {
			l.words = append(l.words, f)
		}
	}
	return l
}

func (l *line) word(i int) string {
	if i < len(l.words) {
		return l.words[i]
	}
	return ""
}

func (l *line) has(word string) bool { return slices.Contains(l.words, word) }

func number[T ~int32 | ~int64](l *line, key string, otherwise T) T {
	text, ok := l.attrs[key]
	if !ok {
		return otherwise
	}
	v, err := strconv.ParseInt(text, 0, 64)
	if err != nil {
		panic(err)
	}
	return T(v)
}

// list reads key=a,b,c; an attribute that is not there is an empty list.
func (l *line) list(key string) []string {
	if l.attrs[key] == "" {
		return nil
	}
	return strings.Split(l.attrs[key], ",")
}

// path is the first argument; "empty" stands for the empty path.
func (l *line) path() string {
	if l.word(1) == "empty" {
		return ""
	}
	return l.word(1)
}

// data is the second argument: null, empty, or the text; with= takes what has an equals sign.
func (l *line) data() []byte {
	if text, ok := l.attrs["with"]; ok {
		return []byte(text)
	}
	switch text := l.word(2); text {
	case "null", "":
		return nil
	case "empty":
		return []byte{}
	default:
		return []byte(text)
	}
}

// acl reads acl=perms:scheme:id,… with anyone as the default, null and empty.
func (l *line) acl() []wire.ACL {
	switch l.attrs["acl"] {
	case "":
		return anyone
	case "null":
		return nil
	case "empty":
		return []wire.ACL{}
	}
	var out []wire.ACL
	for _, text := range l.list("acl") {
		part := strings.SplitN(text, ":", 3)
		perms, err := strconv.Atoi(part[0])
		if err != nil {
			panic(err)
		}
		out = append(out, wire.ACL{Perms: int32(perms), Scheme: part[1], ID: part[2]})
	}
	return out
}

// bytesOf is a record of bytes as they are.
type bytesOf []byte

func (b bytesOf) Append(to []byte) []byte { return append(to, b...) }
func (b bytesOf) Decode(*codec.Reader)    {}

// request makes the request that a line names:
//
//	create|create2|container|ttl PATH [DATA] [flags=] [acl=] [ttl=]    delete|check PATH [version=]
//	set PATH [DATA] [version=]      setacl PATH acl= [version=]        exists|get|children|children2 PATH [watch]
//	getacl|count PATH               ephemerals [PREFIX|null]           sync [PATH|null]
//	addwatch PATH [mode=]           checkwatches|removewatches PATH type=
//	setwatches|setwatches2 since= data= exist= child= persistent= recursive=
//	multi REQUEST ; …               multiread REQUEST ; …              auth SCHEME PROOF
//	ping, whoami, close, sasl, reconfig                                op NUMBER [HEX]
func request(text string) (wire.Op, wire.Record) {
	parsed := parse(text)
	l := &parsed
	version := number[int32](l, "version", -1)
	create := wire.CreateRequest{Path: l.path(), Data: l.data(), ACL: l.acl(), Flags: number[int32](l, "flags", 0)}
	look := &wire.PathWatchRequest{Path: l.path(), Watch: l.has("watch")}
	watches := &wire.WatchesRequest{Path: l.path(), Type: wire.WatcherType(number[int32](l, "type", 3))}
	back := wire.SetWatchesRequest{
		RelativeZxid: number[int64](l, "since", 0), Data: l.list("data"), Exist: l.list("exist"), Child: l.list("child"),
	}
	switch l.word(0) {
	case "create":
		return wire.OpCreate, &create
	case "create2":
		return wire.OpCreate2, &create
	case "container":
		create.Flags = number[int32](l, "flags", 4)
		return wire.OpCreateContainer, &create
	case "ttl":
		create.Flags = number[int32](l, "flags", 5)
		return wire.OpCreateTTL, &wire.CreateTTLRequest{CreateRequest: create, TTL: number[int64](l, "ttl", 1000)}
	case "delete":
		return wire.OpDelete, &wire.DeleteRequest{Path: l.path(), Version: version}
	case "check":
		return wire.OpCheck, &wire.CheckVersionRequest{Path: l.path(), Version: version}
	case "set":
		return wire.OpSetData, &wire.SetDataRequest{Path: l.path(), Data: l.data(), Version: version}
	case "setacl":
		return wire.OpSetACL, &wire.SetACLRequest{Path: l.path(), ACL: l.acl(), Version: version}
	case "exists":
		return wire.OpExists, look
	case "get":
		return wire.OpGetData, look
	case "children":
		return wire.OpGetChildren, look
	case "children2":
		return wire.OpGetChildren2, look
	case "getacl":
		return wire.OpGetACL, &wire.PathRequest{Path: l.path()}
	case "count":
		return wire.OpGetAllChildrenNumber, &wire.PathRequest{Path: l.path()}
	case "ephemerals":
		return wire.OpGetEphemerals, &wire.GetEphemeralsRequest{Prefix: l.path(), Null: l.word(1) == "null"}
	case "sync":
		return wire.OpSync, &wire.SyncRequest{Path: l.path(), Null: l.word(1) == "null"}
	case "addwatch":
		return wire.OpAddWatch, &wire.AddWatchRequest{Path: l.path(), Mode: wire.AddWatchMode(number[int32](l, "mode", 0))}
	case "checkwatches":
		return wire.OpCheckWatches, watches
	case "removewatches":
		return wire.OpRemoveWatches, watches
	case "setwatches":
		return wire.OpSetWatches, &back
	case "setwatches2":
		return wire.OpSetWatches2, &wire.SetWatches2Request{
			SetWatchesRequest: back, Persistent: l.list("persistent"), PersistentRecursive: l.list("recursive"),
		}
	case "multi":
		return wire.OpMulti, multi(text)
	case "multiread":
		return wire.OpMultiRead, multiRead(text)
	case "op":
		n, err := strconv.Atoi(l.word(1))
		if err != nil {
			panic(err)
		}
		return wire.Op(n), bytesOf(unhex(strings.Join(l.words[2:], "")))
	case "auth":
		return wire.OpAuth, &wire.AuthRequest{Scheme: l.word(1), Auth: []byte(l.word(2))}
	case "ping":
		return wire.OpPing, nil
	case "whoami":
		return wire.OpWhoAmI, nil
	case "close":
		return wire.OpCloseSession, nil
	case "sasl":
		return wire.OpSASL, &wire.SASLRequest{Token: []byte("x")}
	case "reconfig":
		return wire.OpReconfig, &wire.ReconfigRequest{}
	}
	panic("no request " + l.word(0))
}

// parts takes a list of requests apart: the first word says what they are part of.
func parts(text string) (ops []wire.Op, records []wire.Record) {
	_, rest, _ := strings.Cut(text, " ")
	for part := range strings.SplitSeq(rest, ";") {
		if part = strings.TrimSpace(part); part == "" || strings.HasPrefix(part, "xid=") {
			continue
		}
		op, m := request(part)
		ops, records = append(ops, op), append(records, m)
	}
	return ops, records
}

func multi(text string) *wire.MultiRequest {
	m := &wire.MultiRequest{}
	ops, records := parts(text)
	for i, record := range records {
		one := wire.MultiOp{Op: ops[i]}
		switch r := record.(type) {
		case *wire.CreateRequest:
			one.Path, one.Data, one.ACL, one.Flags = r.Path, r.Data, r.ACL, r.Flags
		case *wire.CreateTTLRequest:
			one.Path, one.Data, one.ACL, one.Flags, one.TTL = r.Path, r.Data, r.ACL, r.Flags, r.TTL
		case *wire.PathVersionRequest:
			one.Path, one.Version = r.Path, r.Version
		case *wire.SetDataRequest:
			one.Path, one.Data, one.Version = r.Path, r.Data, r.Version
		}
		m.Ops = append(m.Ops, one)
	}
	return m
}

func multiRead(text string) *wire.MultiReadRequest {
	m := &wire.MultiReadRequest{}
	ops, records := parts(text)
	for i, record := range records {
		one := wire.MultiReadOp{Op: ops[i]}
		if r, ok := record.(*wire.PathWatchRequest); ok {
			one.Path, one.Watch = r.Path, r.Watch
		}
		m.Ops = append(m.Ops, one)
	}
	return m
}

func unhex(text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return b
}
