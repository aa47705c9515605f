//go:build !linux

package admin

import "runtime"

func osName() string { return runtime.GOOS }

func kernelRelease() string { return "" }

func descriptors() (open, limit int64) { return -1, -1 }
