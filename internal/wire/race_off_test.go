//go:build !race

package wire

import "testing"

func skipRaced(*testing.T) {}
