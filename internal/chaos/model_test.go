//go:build linux

package chaos

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"

	"github.com/grovekeeper/grove/internal/wire"
)

// register is one node as the model has it: the zero value is a node that is not there.
type register struct {
	exists  bool
	version int32
	data    string
}

// registerAt returns what the tree has at path.
func (t *tree) registerAt(path string) register {
	n, ok := t.nodes[path]
	if !ok {
		return register{}
	}
	return register{true, n.stat.Version, n.data}
}

// apply does e to r, and says with what code it is answered and with what version.
func (r register) apply(e *effect) (register, wire.Code, int32) {
	switch {
	case e.kind == wire.OpCreate && r.exists:
		return r, wire.CodeNodeExists, 0
	case e.kind == wire.OpCreate:
		return register{true, 0, e.data}, wire.CodeOK, 0
	case !r.exists:
		return r, wire.CodeNoNode, 0
	case e.kind == wire.OpGetData:
		return r, wire.CodeOK, r.version
	case e.version >= 0 && e.version != r.version:
		return r, wire.CodeBadVersion, 0
	case e.kind == wire.OpDelete:
		return register{}, wire.CodeOK, 0
	}
	return register{true, r.version + 1, e.data}, wire.CodeOK, r.version + 1
}

// after returns the states that r may be in after e, given how e was answered.
func (r register) after(e *effect) []register {
	next, code, version := r.apply(e)
	switch {
	case !e.sure && next == r:
		return []register{r}
	case !e.sure:
		return []register{r, next}
	case code != e.code:
		return nil
	case code != wire.CodeOK:
		return []register{r}
	case e.kind == wire.OpGetData && (r.data != e.data || r.version != e.version),
		e.kind == wire.OpSetData && version != e.stamp:
		return nil
	}
	return []register{next}
}

// linear is a node for porcupine, beginning as from.
func linear(from register) porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{from} },
		Step: func(state, input, _ any) []any {
			var out []any
			for _, r := range state.(register).after(input.(*effect)) {
				out = append(out, r)
			}
			return out
		},
	}
	return m.ToModel()
}

// A clock says when effects took place: between two moments each.
type clock struct {
	name  string
	reads func(o *op) bool // which reads it can place
	span  func(o *op) (from, to int64)
	never int64 // after everything
}

// byZxid is the order the server claims: a write happened at its zxid and at no other moment, a read
// behind the write whose zxid its reply bears. What was not answered happened after everything its client had
// seen, and before the tree was looked at.
func byZxid(final int64) clock {
	return clock{
		name:  "by zxid",
		reads: func(*op) bool { return true },
		span: func(o *op) (int64, int64) {
			switch {
			case !o.answered():
				return 4*o.after + 3, 4 * final
			case o.writes():
				return 4 * o.zxid, 4*o.zxid + 1
			}
			return 4*o.zxid + 2, 4*o.zxid + 3
		},
		never: 4*final + 2,
	}
}

// byTime is the order that clients see, by one clock: between request and reply. A read that did not
// follow a sync may be of the past. What was not answered happened before the server was dead.
func byTime(dead int64) clock {
	return clock{
		name:  "by time",
		reads: func(o *op) bool { return o.synced },
		span: func(o *op) (int64, int64) {
			if !o.answered() {
				return o.call, dead
			}
			return o.call, o.ret
		},
		never: dead + 1,
	}
}

// linearize holds every node to the model: what was found before, what was answered and what was found
// afterwards must be explained by one order of effects that agrees with the clock.
func linearize(before, now *tree, effects map[string][]effect, c clock) []string {
	var wrong []string
	for path, list := range effects {
		final := now.registerAt(path)
		look := &effect{kind: wire.OpGetData, path: path, data: final.data, version: final.version, sure: true}
		if !final.exists {
			look.code = wire.CodeNoNode
		}
		var history []porcupine.Operation
		for i := range list {
			e := &list[i]
			if e.kind == wire.OpGetData && !c.reads(e.op) {
				continue
			}
			from, to := c.span(e.op)
			history = append(history, porcupine.Operation{Input: e, Call: from, Return: to})
		}
		history = append(history, porcupine.Operation{Input: look, Call: c.never, Return: c.never + 1})
		from := before.registerAt(path)
		if !porcupine.CheckOperations(linear(from), history) {
			wrong = append(wrong, fmt.Sprintf("%s cannot be explained %s:\n\tbegan as %s\n%s\tfound as %s",
				path, c.name, from, tell(list), final))
		}
	}
	return wrong
}

func (r register) String() string {
	if !r.exists {
		return "nothing"
	}
	return fmt.Sprintf("version %d, %s", r.version, brief(r.data))
}

// tell lists effects in the order of their zxids, those without an answer last.
func tell(list []effect) string {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b effect) int {
		return cmp.Or(-cmp.Compare(b2i(a.sure), b2i(b.sure)), cmp.Compare(a.op.zxid, b.op.zxid))
	})
	var b strings.Builder
	for _, e := range list {
		fmt.Fprintf(&b, "\t%v: %v\n", e.kind, e.op)
	}
	return b.String()
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
