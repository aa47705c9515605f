//go:build race

package wal

// stride thins out the exhaustive tests, which are one goroutine each and would take minutes under
// the race detector. Without it they mean every bit, byte and call.
const stride = 11
