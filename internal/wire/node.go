package wire

import "github.com/grovekeeper/grove/internal/codec"

// The flags of a create.
const (
	FlagPersistent              int32 = 0
	FlagEphemeral               int32 = 1
	FlagSequential              int32 = 2
	FlagEphemeralSequential     int32 = 3
	FlagContainer               int32 = 4
	FlagPersistentTTL           int32 = 5
	FlagPersistentSequentialTTL int32 = 6
)

// CreateRequest asks for a node: create, create2 and createContainer.
type CreateRequest struct {
	Path  string
	Data  []byte // nil is null; aliases the frame
	ACL   []ACL  // nil is null
	Flags int32
}

// Decode reads m.
func (m *CreateRequest) Decode(r *codec.Reader) {
	m.Path = string(path(r))
	m.Data = r.Bytes()
	m.ACL = decodeACLs(r, m.ACL)
	m.Flags = r.Int32()
}

// Append adds m to b.
func (m *CreateRequest) Append(b []byte) []byte {
	b = codec.AppendString(b, m.Path)
	b = codec.AppendBytes(b, m.Data)
	b = appendACLs(b, m.ACL)
	return codec.AppendInt32(b, m.Flags)
}

// CreateTTLRequest asks for a node that is reaped when idle and empty.
type CreateTTLRequest struct {
	CreateRequest
	TTL int64 // ms
}

// Decode reads m.
func (m *CreateTTLRequest) Decode(r *codec.Reader) {
	m.CreateRequest.Decode(r)
	m.TTL = r.Int64()
}

// Append adds m to b.
func (m *CreateTTLRequest) Append(b []byte) []byte {
	return codec.AppendInt64(m.CreateRequest.Append(b), m.TTL)
}

// CreateResponse answers create (1) only.
type CreateResponse struct {
	Path string // with the suffix, if sequential
}

// Decode reads m.
func (m *CreateResponse) Decode(r *codec.Reader) { m.Path = r.String() }

// Append adds m to b.
func (m *CreateResponse) Append(b []byte) []byte { return codec.AppendString(b, m.Path) }

// Create2Response answers create2, createContainer and createTTL.
type Create2Response struct {
	Path string // with the suffix, if sequential
	Stat Stat
}

// Decode reads m.
func (m *Create2Response) Decode(r *codec.Reader) {
	m.Path = r.String()
	m.Stat.Decode(r)
}

// Append adds m to b.
func (m *Create2Response) Append(b []byte) []byte {
	return m.Stat.Append(codec.AppendString(b, m.Path))
}

// PathVersionRequest names a node and the version it must have; -1 is any.
type PathVersionRequest struct {
	Path    string
	Version int32
}

// Delete is answered by the header alone; check occurs in a multi only.
type (
	DeleteRequest       = PathVersionRequest
	CheckVersionRequest = PathVersionRequest
)

// Decode reads m.
func (m *PathVersionRequest) Decode(r *codec.Reader) {
	m.Path = string(path(r))
	m.Version = r.Int32()
}

// Append adds m to b.
func (m *PathVersionRequest) Append(b []byte) []byte {
	return codec.AppendInt32(codec.AppendString(b, m.Path), m.Version)
}

// PathWatchRequest names a node to read, and asks for a watch or not.
type PathWatchRequest struct {
	Path  string
	Watch bool
}

// The reads that may leave a watch.
type (
	ExistsRequest       = PathWatchRequest
	GetDataRequest      = PathWatchRequest
	GetChildrenRequest  = PathWatchRequest
	GetChildren2Request = PathWatchRequest
)

// Decode reads m.
func (m *PathWatchRequest) Decode(r *codec.Reader) {
	m.Path = string(path(r))
	m.Watch = r.Bool()
}

// Append adds m to b.
func (m *PathWatchRequest) Append(b []byte) []byte {
	return codec.AppendBool(codec.AppendString(b, m.Path), m.Watch)
}

// DecodePathWatch reads the record of a PathWatchRequest without allocating: name aliases the
// frame. If it is not ok, the reason is in r.
func DecodePathWatch(r *codec.Reader) (name []byte, watch, ok bool) {
	name = path(r)
	watch = r.Bool()
	return name, watch, r.Err() == nil
}

// StatResponse is the stat of a node alone.
type StatResponse struct{ Stat Stat }

// The replies that consist of a Stat.
type (
	ExistsResponse  = StatResponse
	SetDataResponse = StatResponse
	SetACLResponse  = StatResponse
)

// Decode reads m.
func (m *StatResponse) Decode(r *codec.Reader) { m.Stat.Decode(r) }

// Append adds m to b.
func (m *StatResponse) Append(b []byte) []byte { return m.Stat.Append(b) }

// GetDataResponse answers getData, and reconfig with the new configuration.
type GetDataResponse struct {
	Data []byte // nil is null; aliases the frame
	Stat Stat
}

// Decode reads m.
func (m *GetDataResponse) Decode(r *codec.Reader) {
	m.Data = r.Bytes()
	m.Stat.Decode(r)
}

// Append adds m to b.
func (m *GetDataResponse) Append(b []byte) []byte {
	return m.Stat.Append(codec.AppendBytes(b, m.Data))
}

// SetDataRequest replaces the data of a node.
type SetDataRequest struct {
	Path    string
	Data    []byte // nil is null; aliases the frame
	Version int32  // -1 is any
}

// Decode reads m.
func (m *SetDataRequest) Decode(r *codec.Reader) {
	m.Path = string(path(r))
	m.Data = r.Bytes()
	m.Version = r.Int32()
}

// Append adds m to b.
func (m *SetDataRequest) Append(b []byte) []byte {
	b = codec.AppendString(b, m.Path)
	b = codec.AppendBytes(b, m.Data)
	return codec.AppendInt32(b, m.Version)
}

// DecodeSetData reads the record of a SetDataRequest without allocating: name and data alias the
// frame. If it is not ok, the reason is in r.
func DecodeSetData(r *codec.Reader) (name, data []byte, version int32, ok bool) {
	name = path(r)
	data = r.Bytes()
	version = r.Int32()
	return name, data, version, r.Err() == nil
}

// PathRequest names a node.
type PathRequest struct{ Path string }

// The reads that leave no watch.
type (
	GetACLRequest               = PathRequest
	GetAllChildrenNumberRequest = PathRequest
)

// Decode reads m.
func (m *PathRequest) Decode(r *codec.Reader) { m.Path = string(path(r)) }

// Append adds m to b.
func (m *PathRequest) Append(b []byte) []byte { return codec.AppendString(b, m.Path) }

// GetACLResponse answers getACL.
type GetACLResponse struct {
	ACL  []ACL
	Stat Stat
}

// Decode reads m.
func (m *GetACLResponse) Decode(r *codec.Reader) {
	m.ACL = decodeACLs(r, m.ACL)
	m.Stat.Decode(r)
}

// Append adds m to b.
func (m *GetACLResponse) Append(b []byte) []byte { return m.Stat.Append(appendACLs(b, m.ACL)) }

// SetACLRequest replaces the access control list of a node.
type SetACLRequest struct {
	Path    string
	ACL     []ACL // nil is null
	Version int32 // compared with Aversion; -1 is any
}

// Decode reads m.
func (m *SetACLRequest) Decode(r *codec.Reader) {
	m.Path = string(path(r))
	m.ACL = decodeACLs(r, m.ACL)
	m.Version = r.Int32()
}

// Append adds m to b.
func (m *SetACLRequest) Append(b []byte) []byte {
	b = codec.AppendString(b, m.Path)
	b = appendACLs(b, m.ACL)
	return codec.AppendInt32(b, m.Version)
}

// GetChildrenResponse lists names, not paths.
type GetChildrenResponse struct{ Children []string }

// Decode reads m.
func (m *GetChildrenResponse) Decode(r *codec.Reader) { m.Children = decodeStrings(r, false) }

// Append adds m to b.
func (m *GetChildrenResponse) Append(b []byte) []byte { return appendStrings(b, m.Children) }

// GetChildren2Response lists names, not paths, and tells the stat of their parent.
type GetChildren2Response struct {
	Children []string
	Stat     Stat
}

// Decode reads m.
func (m *GetChildren2Response) Decode(r *codec.Reader) {
	m.Children = decodeStrings(r, false)
	m.Stat.Decode(r)
}

// Append adds m to b.
func (m *GetChildren2Response) Append(b []byte) []byte {
	return m.Stat.Append(appendStrings(b, m.Children))
}

// GetAllChildrenNumberResponse counts all descendants.
type GetAllChildrenNumberResponse struct{ Total int32 }

// Decode reads m.
func (m *GetAllChildrenNumberResponse) Decode(r *codec.Reader) { m.Total = r.Int32() }

// Append adds m to b.
func (m *GetAllChildrenNumberResponse) Append(b []byte) []byte {
	return codec.AppendInt32(b, m.Total)
}
