package checkpoint

import (
	"errors"
	"fmt"
	"strings"
)

// Why a store cannot be used, besides damage. Match with errors.Is.
var (
	ErrLocked = errors.New("checkpoint is in use by another process")
	ErrFull   = errors.New("no space for the checkpoint")           // Write: nothing has changed
	ErrBroken = errors.New("an earlier write failed half-way")      // Write: only Close is left
	ErrOrder  = errors.New("zxid below that of the stored state")   // Write: a view older than the file
	ErrLoaded = errors.New("state was handed out before")           // Load, the second time
	ErrNewer  = errors.New("checkpoint written by a newer version") // Open: not damage
)

// CorruptError says that the file holds what was never written to it, and where. Nothing read from
// such a file is served.
type CorruptError struct {
	File   string
	Offset int64  // in bytes, where the damage or the page that holds it begins; -1: not in one place
	Key    string // bucket and key of the record, "nodes /a/b"; empty if the damage is outside records
	Reason string
}

func (e *CorruptError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "checkpoint %s is damaged", e.File)
	if e.Offset >= 0 {
		fmt.Fprintf(&b, " at offset %d (page %d)", e.Offset, e.Offset/pageSize)
	}
	if e.Key != "" {
		fmt.Fprintf(&b, ", %s", e.Key)
	}
	return b.String() + ": " + e.Reason
}
