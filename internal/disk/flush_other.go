//go:build unix && !linux

package disk

import "os"

// flush is the full fsync (on Darwin, Go asks the drive itself to flush).
func flush(f *os.File) error { return f.Sync() }
