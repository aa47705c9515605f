package admin

import (
	"bytes"
	"os"
	"syscall"
)

func osName() string { return "Linux" }

func kernelRelease() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(b))
}

// descriptors counts the files and sockets this process has open, and may have open.
// Either is -1 where it cannot be found out.
func descriptors() (open, limit int64) {
	open, limit = -1, -1
	if dir, err := os.Open("/proc/self/fd"); err == nil {
		defer dir.Close()
		if list, err := dir.Readdirnames(-1); err == nil {
			open = int64(len(list)) - 1 // less the one that read the directory
		}
	}
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err == nil {
		limit = int64(min(r.Cur, 1<<62))
	}
	return open, limit
}
