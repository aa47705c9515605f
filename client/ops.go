package client

import (
	"context"
	"fmt"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
)

// CreateOption says what kind of node Create and OpCreate make. Without any it is persistent, and open
// to everybody.
type CreateOption func(*createSpec)

type createSpec struct {
	sequential, ephemeral, container bool
	protected                        bool
	ttl                              time.Duration
	acl                              []wire.ACL
	err                              error
}

// Ephemeral makes a node that is deleted when the session ends. It can have no children.
func Ephemeral() CreateOption { return func(s *createSpec) { s.ephemeral = true } }

// Sequential adds ten digits to the name: the number of children created before under the same parent,
// so later nodes have larger ones. The name may be empty: "/queue/". After 2147483647
// comes -2147483648.
func Sequential() CreateOption { return func(s *createSpec) { s.sequential = true } }

// Container makes a node that the service deletes some time after its last child was deleted.
func Container() CreateOption { return func(s *createSpec) { s.container = true } }

// TTL makes a node that the service deletes when it was neither set nor had children for d, which is
// counted in milliseconds. Apache ZooKeeper must be told to permit such nodes.
func TTL(d time.Duration) CreateOption {
	return func(s *createSpec) {
		s.ttl = d
		if d < time.Millisecond || d.Milliseconds() > ttlMax {
			s.err = fmt.Errorf("%w: TTL %v", ErrInvalidArgument, d)
		}
	}
}

// ttlMax is what fits the five bytes that servers keep of it, in milliseconds.
const ttlMax = 1<<40 - 1

// Protected puts an identifier in front of the name that only this call can have given: "lock-" becomes
// "_c_<uuid>-lock-". If the answer is lost, the node is looked for by it, so that the outcome is known
// whenever a server can be reached; and if nobody waits for the call any more, it is deleted again. So
// no sequential or ephemeral node is left behind that nobody knows to be theirs.
func Protected() CreateOption { return func(s *createSpec) { s.protected = true } }

// WriteOption says how Set and Delete are to go about it.
type WriteOption func(*writeSpec)

type writeSpec struct{ idempotent bool }

// Idempotent says that it does not matter who has made the change, or whether it was made twice. If the
// answer is lost, a Set of any version is made again; a Set whose version and data are found has
// succeeded, and so has a Delete whose node is gone. Do not use it where the one who makes the change is
// the one who has won something.
func Idempotent() WriteOption { return func(s *writeSpec) { s.idempotent = true } }

func (q *call) writeOf(opts []WriteOption) {
	var s writeSpec
	for _, o := range opts {
		o(&s)
	}
	q.idempotent = s.idempotent
}

// WithACL sets the access list.
func WithACL(acl ...ACL) CreateOption {
	return func(s *createSpec) {
		s.acl = wireACL(acl)
		if len(acl) == 0 {
			s.err = fmt.Errorf("%w: empty access list", ErrInvalidArgument)
		}
	}
}

// flags returns the operation and the flags that make what s says.
func (s *createSpec) flags() (op wire.Op, flags int32, err error) {
	op = wire.OpCreate2
	if s.sequential {
		flags |= wire.FlagSequential
	}
	if s.ephemeral {
		flags |= wire.FlagEphemeral
	}
	switch {
	case s.err != nil:
		return op, flags, s.err
	case s.container && (flags != 0 || s.ttl != 0), s.ephemeral && s.ttl != 0:
		return op, flags, fmt.Errorf("%w: a node is one of ephemeral, container and with a TTL, "+
			"and a container is not sequential", ErrInvalidArgument)
	case s.container:
		return wire.OpCreateContainer, wire.FlagContainer, nil
	case s.ttl != 0 && s.sequential:
		return wire.OpCreateTTL, wire.FlagPersistentSequentialTTL, nil
	case s.ttl != 0:
		return wire.OpCreateTTL, wire.FlagPersistentTTL, nil
	}
	return op, flags, nil
}

// createOf fills q.
func (q *call) createOf(data []byte, opts []CreateOption) error {
	var s createSpec
	for _, o := range opts {
		o(&s)
	}
	var err error
	q.op, q.flags, err = s.flags()
	q.request.data, q.request.acl, q.ttl = data, s.acl, s.ttl.Milliseconds()
	if s.acl == nil {
		q.request.acl = openACL
	}
	if s.protected {
		q.protect()
	}
	return err
}

// sequential reports whether q makes a node whose name the server completes.
func (q *request) sequential() bool {
	switch q.op {
	case wire.OpCreate2:
		return q.flags&wire.FlagSequential != 0
	case wire.OpCreateTTL:
		return q.flags == wire.FlagPersistentSequentialTTL
	}
	return false
}

// Create makes a node and returns it as it was made: under the path it was given, with the data that
// was passed. Nil data and empty data are different. Its parent must exist.
func (c *Client) Create(ctx context.Context, path string, data []byte, opts ...CreateOption) (Node, error) {
	q := c.newCall(wire.OpCreate2, path)
	if err := q.createOf(data, opts); err != nil {
		return Node{}, misuse("create", path, err)
	}
	if err := c.do(ctx, "create", path, q); err != nil {
		return Node{}, err
	}
	defer c.free(q)
	return c.createdNode("", q)
}

// Get reads a node.
func (c *Client) Get(ctx context.Context, path string) (Node, error) {
	q := c.newCall(wire.OpGetData, path)
	if err := c.do(ctx, "get", path, q); err != nil {
		return Node{}, err
	}
	defer c.free(q)
	return c.node(path, q)
}

// Stat reads what is known of a node beside its data. A node that does not exist is ErrNoNode.
func (c *Client) Stat(ctx context.Context, path string) (Stat, error) {
	q := c.newCall(wire.OpExists, path)
	if err := c.do(ctx, "stat", path, q); err != nil {
		return Stat{}, err
	}
	defer c.free(q)
	return c.stat(path, q)
}

// Children lists the children of a node.
func (c *Client) Children(ctx context.Context, path string) (Children, error) {
	q := c.newCall(wire.OpGetChildren2, path)
	if err := c.do(ctx, "children", path, q); err != nil {
		return Children{}, err
	}
	defer c.free(q)
	return c.children(path, q)
}

// Set replaces the data of a node that has the version named, and returns what is known of it then.
func (c *Client) Set(
	ctx context.Context, path string, data []byte, version Version, opts ...WriteOption,
) (Stat, error) {
	q := c.newCall(wire.OpSetData, path)
	q.writeOf(opts)
	q.request.data, q.version = data, int32(version)
	if err := c.do(ctx, "set", path, q); err != nil {
		return Stat{}, err
	}
	defer c.free(q)
	return statOf(&q.stat), nil
}

// Delete deletes a node that has the version named and no children.
func (c *Client) Delete(ctx context.Context, path string, version Version, opts ...WriteOption) error {
	q := c.newCall(wire.OpDelete, path)
	q.writeOf(opts)
	q.version = int32(version)
	if err := c.do(ctx, "delete", path, q); err != nil {
		return err
	}
	c.free(q)
	return nil
}

// Sync waits until the server connected to knows of every change that had been agreed when it was
// called: reads after it see at least those. Which path is named does not matter.
func (c *Client) Sync(ctx context.Context, path string) error {
	q := c.newCall(wire.OpSync, path)
	if err := c.do(ctx, "sync", path, q); err != nil {
		return err
	}
	c.free(q)
	return nil
}

// ACL reads the access list of a node.
func (c *Client) ACL(ctx context.Context, path string) ([]ACL, Stat, error) {
	q := c.newCall(wire.OpGetACL, path)
	if err := c.do(ctx, "acl", path, q); err != nil {
		return nil, Stat{}, err
	}
	defer c.free(q)
	return aclOf(q.answer.acl), statOf(&q.stat), nil
}

// SetACL replaces the access list of a node whose Aversion is the version named.
func (c *Client) SetACL(ctx context.Context, path string, acl []ACL, version Version) (Stat, error) {
	if len(acl) == 0 {
		return Stat{}, misuse("setACL", path, fmt.Errorf("%w: empty access list", ErrInvalidArgument))
	}
	q := c.newCall(wire.OpSetACL, path)
	q.request.acl, q.version = wireACL(acl), int32(version)
	if err := c.do(ctx, "setACL", path, q); err != nil {
		return Stat{}, err
	}
	defer c.free(q)
	return statOf(&q.stat), nil
}

// What the answer to a call means, for the caller who asked about path.

func (c *Client) createdNode(_ string, q *call) (Node, error) {
	return Node{Path: relative(c.root, q.created), Data: q.request.data, Stat: statOf(&q.stat)}, nil
}

func (c *Client) node(path string, q *call) (Node, error) {
	return Node{Path: path, Data: q.answer.data, Stat: statOf(&q.stat)}, nil
}

func (c *Client) children(path string, q *call) (Children, error) {
	return Children{Path: path, Names: q.names, Stat: statOf(&q.stat)}, nil
}

func (c *Client) stat(_ string, q *call) (Stat, error) { return statOf(&q.stat), nil }

func (c *Client) nothing(string, *call) (struct{}, error) { return struct{}{}, nil }
