//go:build unix && !linux

package checkpoint

import "os"

// readAhead has no equal here: the file is read page by page, which takes longer if it is cold.
func readAhead(*os.File, int64) {}
