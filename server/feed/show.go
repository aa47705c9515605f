package feed

import (
	"github.com/grovekeeper/grove/server/admin"
	"github.com/grovekeeper/grove/watch"
)

// WatchCounts returns the number of watches, of connections that hold any and of paths that have any.
func (f *Feed) WatchCounts() (watches, connections, paths int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return int64(f.watches.Watches()), int64(f.watches.Watchers()), int64(f.watches.Paths())
}

// ListWatches returns every watch with the session that holds it.
func (f *Feed) ListWatches() []admin.Watch {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]admin.Watch, 0, f.watches.Watches())
	f.watches.ByWatcher(func(id watch.ID, path string, _ watch.Kind) bool {
		list = append(list, admin.Watch{Session: int64(f.inboxes[id].session), Path: path})
		return true
	})
	return list
}

// Expired returns how many sessions have expired since the start.
func (f *Feed) Expired() int64 { return f.apply.expired.Load() }

// Replayed returns how many entries were applied before Begin: those that were agreed before this start.
func (f *Feed) Replayed() int64 { return f.apply.replayed.Load() }
