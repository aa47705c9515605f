package front

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"slices"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/wire"
	"github.com/grovekeeper/grove/znode"
)

// admitAuth takes the proof of an identity in. The identity counts from the next request on; the
// reply keeps its place among the replies. A proof that fails ends the connection.
func (c *conn) admitAuth(s slot, r *codec.Reader) error {
	var m wire.AuthRequest
	m.Decode(r)
	if r.Err() != nil {
		c.admitRefusal(s, wire.CodeMarshallingError)
		return nil //nolint:nilerr // the client is told, and the connection goes on
	}
	ids, ok := c.identify(m.Scheme, m.Auth)
	if !ok {
		c.front.stats.authFailed.Add(1)
		c.refuseAndEnd(s, wire.CodeAuthFailed)
		return errEnding
	}
	known := c.inbox.Identities()
	grown := slices.Clone(known)
	for _, id := range ids {
		if !slices.Contains(grown, id) {
			grown = append(grown, id)
		}
	}
	if !carry(grown) {
		c.front.stats.authFailed.Add(1)
		c.refuseAndEnd(s, wire.CodeAuthFailed)
		return errEnding
	}
	if len(grown) > len(known) {
		c.inbox.SetIdentities(grown)
	}
	c.admitRefusal(s, wire.CodeOK)
	return nil
}

// identify checks a proof and returns whom it proves.
func (c *conn) identify(scheme string, proof []byte) ([]znode.Identity, bool) {
	switch scheme {
	case "digest":
		id := znode.Identity{Scheme: "digest", ID: Digest(proof)}
		if c.front.cfg.SuperDigest != "" && id.ID == c.front.cfg.SuperDigest {
			return []znode.Identity{id, {Scheme: "super"}}, true
		}
		return []znode.Identity{id}, true
	case "ip": // known from the start
		return nil, true
	}
	return nil, false
}

// Digest returns the digest identity of the bytes "user:password", by ZooKeeper's definition:
// the user, a colon, and the base64 of the SHA-1 of all of them.
func Digest(userPassword []byte) string {
	user, _, _ := bytes.Cut(userPassword, []byte{':'})
	sum := sha1.Sum(userPassword)
	return string(user) + ":" + base64.StdEncoding.EncodeToString(sum[:])
}
