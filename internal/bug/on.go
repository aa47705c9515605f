//go:build bugbank

package bug

import "os"

var alive = Name(os.Getenv("GROVE_BUG"))

// On says whether a bug is alive.
func On(n Name) bool { return n == alive }
