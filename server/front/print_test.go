package front_test

import (
	"fmt"
	"strings"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/wire"
)

// hear receives one frame and prints it. It reports whether that was a reply.
func (k *actor) hear(name string) (text string, reply bool) {
	k.t.Helper()
	frame, err := k.next()
	if err != nil {
		return name + " closed\n", true
	}
	r := codec.NewReader(frame)
	var h wire.ReplyHeader
	h.Decode(&r)
	if h.Xid == wire.XidNotification && r.Len() > 0 {
		var ev wire.WatcherEvent
		ev.Decode(&r)
		return fmt.Sprintf("%s event %s %s @%d%s\n", name, events[ev.Type], ev.Path, h.Zxid, leftover(&r)), false
	}
	if len(k.asked) == 0 {
		k.t.Fatalf("%s: a reply to %d, and nothing was asked", name, h.Xid)
	}
	q := k.asked[0]
	k.asked = k.asked[1:]
	if q.op == wire.OpPing {
		q.xid = wire.XidPing
	}
	if h.Xid != q.xid {
		k.t.Fatalf("%s: a reply to %d where one to %d, %v, must come", name, h.Xid, q.xid, q.op)
	}
	body := ""
	if h.Err == wire.CodeOK {
		body = k.record(q.op, &r)
	}
	return fmt.Sprintf("%s %d @%d %v%s%s\n", name, h.Xid, h.Zxid, h.Err, body, leftover(&r)), true
}

var events = map[wire.EventType]string{
	wire.EventNodeCreated: "Created", wire.EventNodeDeleted: "Deleted",
	wire.EventNodeDataChanged: "DataChanged", wire.EventNodeChildrenChanged: "ChildrenChanged",
}

func leftover(r *codec.Reader) string {
	switch {
	case r.Err() != nil:
		return " CANNOT BE READ: " + r.Err().Error()
	case r.Len() > 0:
		return fmt.Sprintf(" AND %d BYTES MORE", r.Len())
	}
	return ""
}

// welcome reads the answer to a connect request.
func (k *client) welcome(frame []byte) (a wire.ConnectResponse) {
	r := codec.NewReader(frame)
	if a.Decode(&r); r.Err() != nil {
		k.t.Fatal(r.Err())
	}
	k.id, k.pass = a.SessionID, append([]byte(nil), a.Password...)
	return a
}

// record prints the record of a reply.
func (k *actor) record(op wire.Op, r *codec.Reader) string {
	row, _ := op.Row()
	if row.Response == nil {
		return ""
	}
	m := row.Response()
	m.Decode(r)
	switch m := m.(type) {
	case *wire.CreateResponse:
		return " " + m.Path
	case *wire.Create2Response:
		return " " + m.Path + k.stat(m.Stat)
	case *wire.StatResponse:
		return k.stat(m.Stat)
	case *wire.GetDataResponse:
		return " " + text(m.Data) + k.stat(m.Stat)
	case *wire.GetACLResponse:
		return fmt.Sprintf(" %s%s", list(m.ACL), k.stat(m.Stat))
	case *wire.GetChildrenResponse:
		return fmt.Sprintf(" %v", m.Children)
	case *wire.GetChildren2Response:
		return fmt.Sprintf(" %v%s", m.Children, k.stat(m.Stat))
	case *wire.GetAllChildrenNumberResponse:
		return fmt.Sprintf(" %d", m.Total)
	case *wire.GetEphemeralsResponse:
		return fmt.Sprintf(" %v", m.Paths)
	case *wire.SyncResponse:
		if m.Null {
			return " null"
		}
		return fmt.Sprintf(" %q", m.Path)
	case *wire.WhoAmIResponse:
		return fmt.Sprintf(" %v", m.Clients)
	case *wire.ErrorResponse:
		return fmt.Sprintf(" err %d", int32(m.Err))
	case *wire.MultiResponse:
		return k.results(m.Results)
	}
	return fmt.Sprintf(" %+v", m)
}

// results prints the outcome of a multi, one line each.
func (k *actor) results(all []wire.MultiResult) string {
	var b strings.Builder
	for _, m := range all {
		fmt.Fprintf(&b, "\n  %v", m.Type)
		switch m.Type {
		case wire.OpError:
			fmt.Fprintf(&b, " %v", m.Err)
		case wire.OpCreate:
			fmt.Fprintf(&b, " %s", m.Path)
		case wire.OpCreate2:
			fmt.Fprintf(&b, " %s%s", m.Path, k.stat(m.Stat))
		case wire.OpSetData:
			b.WriteString(k.stat(m.Stat))
		case wire.OpGetData:
			fmt.Fprintf(&b, " %s%s", text(m.Data), k.stat(m.Stat))
		case wire.OpGetChildren:
			fmt.Fprintf(&b, " %v", m.Children)
		}
	}
	return b.String()
}

// stat prints what does not depend on the clock: versions, zxids of creation, change and children, and
// the owner, the length of the data and the number of children if there are any.
func (k *actor) stat(s wire.Stat) string {
	text := fmt.Sprintf(" v%d/%d/%d zxid %d/%d/%d", s.Version, s.Cversion, s.Aversion, s.Czxid, s.Mzxid, s.Pzxid)
	if s.EphemeralOwner != 0 {
		text += fmt.Sprintf(" owner %#x", s.EphemeralOwner)
	}
	if s.DataLength != 0 {
		text += fmt.Sprintf(" length %d", s.DataLength)
	}
	if s.NumChildren != 0 {
		text += fmt.Sprintf(" children %d", s.NumChildren)
	}
	return text
}

func text(data []byte) string {
	if data == nil {
		return "null"
	}
	return fmt.Sprintf("%q", data)
}

func list(acl []wire.ACL) string {
	var all []string
	for _, a := range acl {
		all = append(all, fmt.Sprintf("%d:%s:%s", a.Perms, a.Scheme, a.ID))
	}
	return strings.Join(all, ",")
}
