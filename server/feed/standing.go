package feed

import (
	"sync"

	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/znode"
)

// standing is what other goroutines may know of the applied state besides the view: enough to make an
// image of it, and to compare it with that of another server.
type standing struct {
	mu    sync.Mutex // guards the fields below; innermost
	view  *state.View
	term  uint64
	conf  []byte
	marks [marksKept]Mark // by zxid / markEvery; in any slot the newest that fell there
	last  Mark
}

// Mark is the digest of the state after a zxid.
type Mark struct {
	Zxid   znode.Zxid
	Digest uint64
}

// Digests are noted at every multiple of markEvery, and the newest of them kept: servers a little apart
// then have some in common.
const (
	markEvery = 1024
	marksKept = 64
)

func (s *standing) set(v *state.View, term uint64, conf []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.view, s.term, s.conf = v, term, conf
}

// mark notes the digest of m, if it stands where digests are noted.
func (s *standing) mark(m *state.Machine) {
	zxid := m.Zxid()
	if zxid%markEvery != 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = Mark{zxid, m.Digest()}
	s.marks[zxid/markEvery%marksKept] = s.last
}

// forget drops the digests: the state is another's.
func (s *standing) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks, s.last = [marksKept]Mark{}, Mark{}
}

// Latest returns the state after the newest batch, the term of its last entry, and the membership as of
// it: what an image is made of.
func (f *Feed) Latest() (view *state.View, term uint64, confState []byte) {
	s := &f.standing
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.view, s.term, s.conf
}

// DigestAt returns the digest of the state after zxid, if it has been noted and is still kept. Every
// server that has one for a zxid must have the same.
func (f *Feed) DigestAt(zxid znode.Zxid) (digest uint64, ok bool) {
	s := &f.standing
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.marks[max(zxid, 0)/markEvery%marksKept]
	return m.Digest, zxid > 0 && m.Zxid == zxid
}

// NewestDigest returns the newest digest noted, to be compared with what others have for its zxid. Its
// zxid is 0 if there is none.
func (f *Feed) NewestDigest() Mark {
	s := &f.standing
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}
