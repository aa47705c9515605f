package wire

import "github.com/grovekeeper/grove/internal/codec"

// ConnectRequest is the first message of a client.
type ConnectRequest struct {
	ProtocolVersion int32 // clients send 0, servers ignore it
	LastZxidSeen    int64 // highest zxid in any reply the client got; a server behind it refuses
	TimeoutMs       int32 // session timeout asked for; the server clamps it
	SessionID       int64 // 0 asks for a new session
	Password        []byte
	ReadOnly        bool // a server without quorum will do
	HasReadOnly     bool // old clients leave out ReadOnly and must not be sent it
}

// Decode reads m.
func (m *ConnectRequest) Decode(r *codec.Reader) {
	m.ProtocolVersion = r.Int32()
	m.LastZxidSeen = r.Int64()
	m.TimeoutMs = r.Int32()
	m.SessionID = r.Int64()
	m.Password = r.Bytes()
	m.HasReadOnly = r.Len() > 0
	m.ReadOnly = m.HasReadOnly && r.Bool()
}

// Append adds m to b.
func (m *ConnectRequest) Append(b []byte) []byte {
	b = codec.AppendInt32(b, m.ProtocolVersion)
	b = codec.AppendInt64(b, m.LastZxidSeen)
	b = codec.AppendInt32(b, m.TimeoutMs)
	b = codec.AppendInt64(b, m.SessionID)
	b = codec.AppendBytes(b, m.Password)
	if m.HasReadOnly {
		b = codec.AppendBool(b, m.ReadOnly)
	}
	return b
}

// PasswordLen is the length of every password a server sends: some clients parse the response at
// fixed offsets.
const PasswordLen = 16

// ConnectResponse is the first message of a server. A session that cannot be resumed is answered
// with TimeoutMs and SessionID 0 and a password of zeros: see InvalidSession.
type ConnectResponse struct {
	ProtocolVersion int32 // always 0
	TimeoutMs       int32 // as negotiated
	SessionID       int64
	Password        []byte // PasswordLen bytes
	ReadOnly        bool   // the server has no quorum
	HasReadOnly     bool   // sent only to a client that sent its own
}

// InvalidSession tells a client that its session is gone. hasReadOnly is that of the request.
func InvalidSession(hasReadOnly bool) ConnectResponse {
	return ConnectResponse{Password: make([]byte, PasswordLen), HasReadOnly: hasReadOnly}
}

// Decode reads m.
func (m *ConnectResponse) Decode(r *codec.Reader) {
	m.ProtocolVersion = r.Int32()
	m.TimeoutMs = r.Int32()
	m.SessionID = r.Int64()
	m.Password = r.Bytes()
	m.HasReadOnly = r.Len() > 0
	m.ReadOnly = m.HasReadOnly && r.Bool()
}

// Append adds m to b.
func (m *ConnectResponse) Append(b []byte) []byte {
	b = codec.AppendInt32(b, m.ProtocolVersion)
	b = codec.AppendInt32(b, m.TimeoutMs)
	b = codec.AppendInt64(b, m.SessionID)
	b = codec.AppendBytes(b, m.Password)
	if m.HasReadOnly {
		b = codec.AppendBool(b, m.ReadOnly)
	}
	return b
}
