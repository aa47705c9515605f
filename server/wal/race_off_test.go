//go:build !race

package wal

const bitStride = 1
