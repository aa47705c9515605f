package checkpoint

import (
	"os"

	"golang.org/x/sys/unix"
)

// readAhead tells the system that all of f will be wanted soon, and in no particular order. It is
// advice: nobody minds if it fails.
func readAhead(f *os.File, size int64) { _ = unix.Fadvise(int(f.Fd()), 0, size, unix.FADV_WILLNEED) }
