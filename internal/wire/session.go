package wire

import "github.com/grovekeeper/grove/internal/codec"

// SyncRequest names a path that is not looked at, only echoed, null included.
type SyncRequest struct {
	Path string
	Null bool
}

// SyncResponse echoes the request.
type SyncResponse = SyncRequest

// Decode reads m.
func (m *SyncRequest) Decode(r *codec.Reader) { m.Path, m.Null = r.NullString() }

// Append adds m to b.
func (m *SyncRequest) Append(b []byte) []byte { return codec.AppendNullString(b, m.Path, m.Null) }

// AuthRequest proves an identity to the server.
type AuthRequest struct {
	Type   int32 // always 0, ignored
	Scheme string
	Auth   []byte // aliases the frame
}

// Decode reads m.
func (m *AuthRequest) Decode(r *codec.Reader) {
	m.Type = r.Int32()
	m.Scheme = r.String()
	m.Auth = r.Bytes()
}

// Append adds m to b.
func (m *AuthRequest) Append(b []byte) []byte {
	b = codec.AppendInt32(b, m.Type)
	b = codec.AppendString(b, m.Scheme)
	return codec.AppendBytes(b, m.Auth)
}

// SASLRequest carries a token of a SASL exchange; nil is null. It aliases the frame.
type SASLRequest struct{ Token []byte }

// SASLResponse carries the server's token; nil is null.
type SASLResponse = SASLRequest

// Decode reads m.
func (m *SASLRequest) Decode(r *codec.Reader) { m.Token = r.Bytes() }

// Append adds m to b.
func (m *SASLRequest) Append(b []byte) []byte { return codec.AppendBytes(b, m.Token) }

// ClientInfo is one identity of a connection. For digest, User is what precedes the colon.
type ClientInfo struct{ Scheme, User string }

// WhoAmIResponse lists the identities of the asking connection.
type WhoAmIResponse struct{ Clients []ClientInfo }

// Decode reads m.
func (m *WhoAmIResponse) Decode(r *codec.Reader) {
	m.Clients = nil
	n := r.Count(8)
	if n < 0 || r.Err() != nil {
		return
	}
	m.Clients = make([]ClientInfo, n)
	for i := range m.Clients {
		m.Clients[i] = ClientInfo{Scheme: r.String(), User: r.String()}
	}
}

// Append adds m to b.
func (m *WhoAmIResponse) Append(b []byte) []byte {
	if m.Clients == nil {
		return codec.AppendCount(b, -1)
	}
	b = codec.AppendCount(b, len(m.Clients))
	for _, c := range m.Clients {
		b = codec.AppendString(codec.AppendString(b, c.Scheme), c.User)
	}
	return b
}

// GetEphemeralsRequest asks for the ephemerals of the calling session whose path begins with the
// characters of Prefix; null, empty and "/" ask for all of them.
type GetEphemeralsRequest struct {
	Prefix string
	Null   bool
}

// Decode reads m.
func (m *GetEphemeralsRequest) Decode(r *codec.Reader) { m.Prefix, m.Null = r.NullString() }

// Append adds m to b.
func (m *GetEphemeralsRequest) Append(b []byte) []byte {
	return codec.AppendNullString(b, m.Prefix, m.Null)
}

// GetEphemeralsResponse lists whole paths.
type GetEphemeralsResponse struct{ Paths []string }

// Decode reads m.
func (m *GetEphemeralsResponse) Decode(r *codec.Reader) { m.Paths = decodeStrings(r, false) }

// Append adds m to b.
func (m *GetEphemeralsResponse) Append(b []byte) []byte { return appendStrings(b, m.Paths) }

// ReconfigRequest changes the members of the quorum. Null and "" both mean absent. NewMembers
// replaces everything; Joining and Leaving change what there is.
type ReconfigRequest struct {
	Joining, Leaving, NewMembers string
	CurrentVersion               int64 // of the configuration to be changed; -1 is any
}

// Decode reads m.
func (m *ReconfigRequest) Decode(r *codec.Reader) {
	m.Joining = r.String()
	m.Leaving = r.String()
	m.NewMembers = r.String()
	m.CurrentVersion = r.Int64()
}

// Append adds m to b; what is absent is sent as null, which every server takes as absent.
func (m *ReconfigRequest) Append(b []byte) []byte {
	b = codec.AppendNullString(b, m.Joining, m.Joining == "")
	b = codec.AppendNullString(b, m.Leaving, m.Leaving == "")
	b = codec.AppendNullString(b, m.NewMembers, m.NewMembers == "")
	return codec.AppendInt64(b, m.CurrentVersion)
}

// ErrorResponse is a code on its own: a failed operation in a multi, and the answer to addWatch,
// where it is always CodeOK.
type ErrorResponse struct{ Err Code }

// Decode reads m.
func (m *ErrorResponse) Decode(r *codec.Reader) { m.Err = Code(r.Int32()) }

// Append adds m to b.
func (m *ErrorResponse) Append(b []byte) []byte { return codec.AppendInt32(b, int32(m.Err)) }
