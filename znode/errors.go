package znode

import "errors"

// What an edit can refuse. Edits return these bare, so that refusing costs no allocation;
// match them with errors.Is all the same.
var (
	ErrNoNode                  = errors.New("no node")
	ErrNodeExists              = errors.New("node exists")
	ErrNotEmpty                = errors.New("node has children")
	ErrBadVersion              = errors.New("version differs")
	ErrNoAuth                  = errors.New("not permitted by the access list")
	ErrInvalidACL              = errors.New("invalid access list")
	ErrBadArguments            = errors.New("bad arguments")
	ErrNoChildrenForEphemerals = errors.New("ephemeral nodes have no children")
	ErrQuotaExceeded           = errors.New("quota exceeded")

	// ErrMarshalling is the answer where ZooKeeper fails with an unforeseen exception: a null
	// id in an access list, or quota limits that do not parse.
	ErrMarshalling = errors.New("request cannot be understood")

	// ErrSequenceExhausted refuses a sequential create below a parent whose counter of child
	// creates has reached its maximum: the next suffix would repeat the last one.
	ErrSequenceExhausted = errors.New("sequence numbers exhausted")

	// ErrNotReapable says that a verdict of the reaper is stale: the node is gone, is another
	// one, has children, was never used, or has been written since.
	ErrNotReapable = errors.New("node is not to be reaped")

	// ErrCorrupt says that stored bytes are not a node.
	ErrCorrupt = errors.New("corrupt node")
)
