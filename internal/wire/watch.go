package wire

import "github.com/grovekeeper/grove/internal/codec"

// EventType says what happened to the node an event names.
type EventType int32

// The events a server sends.
const (
	EventNodeCreated         EventType = 1
	EventNodeDeleted         EventType = 2
	EventNodeDataChanged     EventType = 3
	EventNodeChildrenChanged EventType = 4
)

// KeeperState is the connection's state as an event carries it; servers send StateSyncConnected.
type KeeperState int32

// StateSyncConnected is the only state that travels.
const StateSyncConnected KeeperState = 3

// WatcherType selects watches in checkWatches and removeWatches.
type WatcherType int32

// The selections. Any stands for all the others.
const (
	WatcherChildren            WatcherType = 1
	WatcherData                WatcherType = 2
	WatcherAny                 WatcherType = 3
	WatcherPersistent          WatcherType = 4
	WatcherPersistentRecursive WatcherType = 5
)

// AddWatchMode is the kind of watch that addWatch arms.
type AddWatchMode int32

// The modes.
const (
	ModePersistent          AddWatchMode = 0
	ModePersistentRecursive AddWatchMode = 1
)

// WatcherEvent tells a client that a watch fired. It carries neither data nor stat: the client
// reads again.
type WatcherEvent struct {
	Type  EventType
	State KeeperState
	Path  string
}

// Decode reads m.
func (m *WatcherEvent) Decode(r *codec.Reader) {
	m.Type = EventType(r.Int32())
	m.State = KeeperState(r.Int32())
	m.Path = r.String()
}

// Append adds m to b.
func (m *WatcherEvent) Append(b []byte) []byte {
	b = codec.AppendInt32(b, int32(m.Type))
	b = codec.AppendInt32(b, int32(m.State))
	return codec.AppendString(b, m.Path)
}

// WatchesRequest names watches of one path.
type WatchesRequest struct {
	Path string
	Type WatcherType
}

// Both are answered by the header alone, with CodeNoWatcher if nothing matched.
type (
	CheckWatchesRequest  = WatchesRequest
	RemoveWatchesRequest = WatchesRequest
)

// Decode reads m. A type that does not exist fails: it is answered like bytes that mean nothing.
func (m *WatchesRequest) Decode(r *codec.Reader) {
	m.Path = string(path(r))
	m.Type = WatcherType(r.Int32())
	if m.Type < WatcherChildren || m.Type > WatcherPersistentRecursive {
		r.Fail(ErrRange)
	}
}

// Append adds m to b.
func (m *WatchesRequest) Append(b []byte) []byte {
	return codec.AppendInt32(codec.AppendString(b, m.Path), int32(m.Type))
}

// AddWatchRequest arms a watch that stays. Its answer is an ErrorResponse.
type AddWatchRequest struct {
	Path string
	Mode AddWatchMode
}

// Decode reads m. A mode that does not exist fails: it is answered like bytes that mean nothing.
func (m *AddWatchRequest) Decode(r *codec.Reader) {
	m.Path = string(path(r))
	m.Mode = AddWatchMode(r.Int32())
	if m.Mode != ModePersistent && m.Mode != ModePersistentRecursive {
		r.Fail(ErrRange)
	}
}

// Append adds m to b.
func (m *AddWatchRequest) Append(b []byte) []byte {
	return codec.AppendInt32(codec.AppendString(b, m.Path), int32(m.Mode))
}

// SetWatchesRequest re-arms the watches of a client that has reconnected. What changed after
// RelativeZxid fires at once.
type SetWatchesRequest struct {
	RelativeZxid int64 // highest zxid the client has seen
	Data         []string
	Exist        []string
	Child        []string
}

// Decode reads m. No list may be null, nor anything in a list.
func (m *SetWatchesRequest) Decode(r *codec.Reader) {
	m.RelativeZxid = r.Int64()
	m.Data = paths(r)
	m.Exist = paths(r)
	m.Child = paths(r)
}

// Append adds m to b; a nil list is sent empty.
func (m *SetWatchesRequest) Append(b []byte) []byte {
	b = codec.AppendInt64(b, m.RelativeZxid)
	b = appendPaths(b, m.Data)
	b = appendPaths(b, m.Exist)
	return appendPaths(b, m.Child)
}

// SetWatches2Request is SetWatchesRequest with the watches that stay, which never fire at once.
type SetWatches2Request struct {
	SetWatchesRequest
	Persistent          []string
	PersistentRecursive []string
}

// Decode reads m. No list may be null, nor anything in a list.
func (m *SetWatches2Request) Decode(r *codec.Reader) {
	m.SetWatchesRequest.Decode(r)
	m.Persistent = paths(r)
	m.PersistentRecursive = paths(r)
}

// Append adds m to b; a nil list is sent empty.
func (m *SetWatches2Request) Append(b []byte) []byte {
	b = m.SetWatchesRequest.Append(b)
	b = appendPaths(b, m.Persistent)
	return appendPaths(b, m.PersistentRecursive)
}

// paths reads a list of paths; null is refused.
func paths(r *codec.Reader) []string {
	list := decodeStrings(r, true)
	if list == nil {
		r.Fail(ErrNull)
	}
	return list
}

// appendPaths adds a list that is never null.
func appendPaths(b []byte, list []string) []byte {
	b = codec.AppendCount(b, len(list))
	for _, s := range list {
		b = codec.AppendString(b, s)
	}
	return b
}
