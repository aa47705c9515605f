//go:build race

package wire

import "testing"

// skipRaced leaves out what counts memory: the race detector takes more, and decides less about escapes.
func skipRaced(t *testing.T) {
	t.Helper()
	t.Skip("memory is counted without the race detector")
}
