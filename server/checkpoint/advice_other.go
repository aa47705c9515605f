//go:build unix && !linux

package checkpoint

import (
	"os"

	"go.etcd.io/bbolt"
)

// readAhead has no equal here: the file is read page by page, which takes longer if it is cold.
func readAhead(*os.File, int64) {}

// forget has no equal here: the system takes pages back when it needs them.
func forget(*bbolt.DB) {}
