package client

import (
	"bytes"
	"context"
	"fmt"

	"github.com/grovekeeper/grove/internal/wire"
)

// Op is one operation of a Multi: see OpCreate, OpSet, OpDelete and OpCheck.
type Op struct {
	name string
	wire wire.MultiOp // its path as the caller gave it
	err  error        // what is wrong with it already
}

// OpCreate makes a node, like Create.
func OpCreate(path string, data []byte, opts ...CreateOption) Op {
	var q call
	err := checkPath(path, true)
	if err == nil {
		q.request.path = path
		err = q.createOf(data, opts)
	}
	if err == nil {
		err = checkPath(path, q.sequential())
	}
	r := &q.request
	return Op{"create", wire.MultiOp{Op: r.op, Path: r.path, Data: r.data, ACL: r.acl, Flags: r.flags, TTL: r.ttl}, err}
}

// OpSet replaces the data of a node, like Set.
func OpSet(path string, data []byte, version Version) Op {
	return Op{"set", wire.MultiOp{Op: wire.OpSetData, Path: path, Data: data, Version: int32(version)},
		checkOp(path, version)}
}

// OpDelete deletes a node, like Delete.
func OpDelete(path string, version Version) Op {
	return Op{"delete", wire.MultiOp{Op: wire.OpDelete, Path: path, Version: int32(version)},
		checkOp(path, version)}
}

// OpCheck changes nothing, and lets the Multi fail unless the node exists and has the version named.
func OpCheck(path string, version Version) Op {
	return Op{"check", wire.MultiOp{Op: wire.OpCheck, Path: path, Version: int32(version)},
		checkOp(path, version)}
}

func checkOp(path string, version Version) error {
	if version < AnyVersion {
		return fmt.Errorf("%w: version %d", ErrInvalidArgument, version)
	}
	return checkPath(path, false)
}

// OpResult is what became of one operation of a Multi that succeeded.
type OpResult struct {
	Path string // for OpCreate, that of the node
	Stat Stat   // for OpCreate and OpSet; the zero value for the others
}

// Multi does all of ops, one after the other, or none of them. Each sees what those before it have
// done; nobody else sees a state between. The results are those of ops, in order. If one fails, none
// has taken effect, and the error has a *MultiError that says which.
func (c *Client) Multi(ctx context.Context, ops ...Op) ([]OpResult, error) {
	q := c.newCall(wire.OpMulti, "/")
	if err := c.multiOf(q, ops); err != nil {
		return nil, misuse("multi", "", err)
	}
	if err := c.do(ctx, "multi", "", q); err != nil {
		return nil, err
	}
	defer c.free(q)
	return c.multiResults(q, ops)
}

func (c *Client) multiOf(q *call, ops []Op) error {
	q.request.ops = make([]wire.MultiOp, len(ops))
	for i, op := range ops {
		if op.err != nil {
			return &MultiError{Index: i, Op: op.name, Path: op.wire.Path, Err: op.err}
		}
		if op.name == "" {
			return fmt.Errorf("%w: operation %d is empty", ErrInvalidArgument, i)
		}
		q.ops[i] = op.wire
		q.ops[i].Path = absolute(c.root, op.wire.Path)
	}
	return nil
}

// multiResults makes sense of a reply to ops.
func (c *Client) multiResults(q *call, ops []Op) ([]OpResult, error) {
	for i, r := range q.results {
		if r.Type == wire.OpError && r.Err != wire.CodeOK && i < len(ops) {
			return nil, c.shell.opError("multi", "", q, &MultiError{
				Index: i, Op: ops[i].name, Path: ops[i].wire.Path, Err: Code(r.Err),
			}, Definite)
		}
	}
	if len(q.results) != len(ops) {
		return nil, c.shell.opError("multi", "", q, fmt.Errorf(
			"%w: %d results for %d operations", ErrProtocol, len(q.results), len(ops)), Unknown)
	}
	results := make([]OpResult, len(ops))
	for i, r := range q.results {
		switch r.Type {
		case wire.OpCreate, wire.OpCreate2:
			results[i] = OpResult{Path: relative(c.root, r.Path), Stat: statOf(&r.Stat)}
		case wire.OpSetData:
			results[i].Stat = statOf(&r.Stat)
		}
	}
	return results, nil
}

// own lets results outlive the frame they were read from.
func own(results []wire.MultiResult) []wire.MultiResult {
	for i := range results {
		results[i].Data = bytes.Clone(results[i].Data)
	}
	return results
}
