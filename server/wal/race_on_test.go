//go:build race

package wal

// bitStride thins out TestEveryBit, which is one goroutine and would take a minute under the race
// detector. Without it the test means every bit.
const bitStride = 13
