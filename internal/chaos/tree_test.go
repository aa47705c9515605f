//go:build linux

package chaos

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/grovekeeper/grove/internal/wire"
)

// node is a node as a client sees it.
type node struct {
	data     string
	stat     wire.Stat
	children []string // names
}

// tree is every node there was at a moment when nobody wrote. Only sessions left behind on purpose may
// have expired meanwhile, and taken what is in passing along.
type tree struct {
	zxid  int64 // of the last reply
	nodes map[string]node
}

// passing is where sessions that are left behind have their ephemerals.
const passing = "/passing"

func transient(path string) bool { return strings.HasPrefix(path, passing+"/") }

// read is at most how many requests are pipelined: below what the server lets be unanswered.
const readMax = 200

// look reads the whole tree, but for what the server keeps in /zookeeper.
func look(c *conn) (*tree, error) {
	t := &tree{nodes: map[string]node{}}
	level := []string{"/"}
	for len(level) > 0 {
		var below []string
		for batch := range slices.Chunk(level, readMax/2) {
			found, err := t.read(c, batch)
			if err != nil {
				return nil, err
			}
			below = append(below, found...)
		}
		level = below
	}
	return t, nil
}

// read adds the nodes at paths and returns the paths of their children.
func (t *tree) read(c *conn, paths []string) (below []string, err error) {
	var b []byte
	for _, path := range paths {
		b = c.request(b, wire.OpGetChildren2, &wire.GetChildren2Request{Path: path})
		b = c.request(b, wire.OpGetData, &wire.GetDataRequest{Path: path})
	}
	if err := c.write(b); err != nil {
		return nil, err
	}
	for _, path := range paths {
		var list wire.GetChildren2Response
		var content wire.GetDataResponse
		gone := false
		for _, into := range []wire.Record{&list, &content} {
			h, err := c.reply(into)
			if err != nil {
				return nil, err
			}
			if h.Zxid < t.zxid {
				return nil, protocolError{fmt.Errorf("read %s: zxid %d after %d", path, h.Zxid, t.zxid)}
			}
			if h.Err != wire.CodeOK && !transient(path) {
				return nil, protocolError{fmt.Errorf("read %s: %w", path, h.Err)}
			}
			t.zxid, gone = h.Zxid, gone || h.Err != wire.CodeOK
		}
		if gone {
			continue
		}
		t.nodes[path] = node{string(content.Data), content.Stat, list.Children}
		for _, name := range list.Children {
			if child := strings.TrimSuffix(path, "/") + "/" + name; child != "/zookeeper" {
				below = append(below, child)
			}
		}
	}
	return below, nil
}

// sound checks what holds of every tree, whoever has written what.
func (t *tree) sound(alive map[int64]bool) []string {
	var wrong []string
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	for path, n := range t.nodes {
		s := n.stat
		if int(s.DataLength) != len(n.data) {
			complain("%s has %d bytes and says %d", path, len(n.data), s.DataLength)
		}
		if max(s.Czxid, s.Mzxid, s.Pzxid) > t.zxid || s.Mzxid < s.Czxid {
			complain("%s was created by %d, set by %d and its children changed by %d, and the tree is of %d",
				path, s.Czxid, s.Mzxid, s.Pzxid, t.zxid)
		}
		if s.EphemeralOwner != 0 && s.NumChildren > 0 {
			complain("%s is ephemeral and has %d children", path, s.NumChildren)
		}
		if s.EphemeralOwner != 0 && !alive[s.EphemeralOwner] && !transient(path) {
			complain("%s belongs to session 0x%x, which is not alive", path, s.EphemeralOwner)
		}
		if path == "/" {
			continue // has /zookeeper, which was not read
		}
		if int(s.NumChildren) != len(n.children) {
			complain("%s has %d children and says %d", path, len(n.children), s.NumChildren)
		}
		for _, name := range n.children {
			if child, ok := t.nodes[path+"/"+name]; ok && child.stat.Czxid > s.Pzxid {
				complain("%s/%s was created by %d, but the children of its parent last changed by %d",
					path, name, child.stat.Czxid, s.Pzxid)
			}
		}
	}
	return wrong
}

var (
	sessionLine   = regexp.MustCompile(`(?m)^\t0x([0-9a-f]+)$`)
	ephemeralLine = regexp.MustCompile(`(?m)^0x([0-9a-f]+):$`)
)

// living returns the sessions that the server says are alive, by its answer to dump, and complains of
// those that own ephemerals and are not.
func living(addr string) (alive map[int64]bool, err error) {
	text, err := words(addr, "dump")
	if err != nil {
		return nil, err
	}
	sessions, rest, ok := strings.Cut(text, "ephemeral nodes dump:")
	owners, _, ok2 := strings.Cut(rest, "Connections dump:")
	if !ok || !ok2 {
		return nil, fmt.Errorf("dump is %q", text)
	}
	alive = map[int64]bool{}
	for _, m := range sessionLine.FindAllStringSubmatch(sessions, -1) {
		alive[parseID(m[1])] = true
	}
	for _, m := range ephemeralLine.FindAllStringSubmatch(owners, -1) {
		if !alive[parseID(m[1])] {
			return nil, fmt.Errorf("session 0x%s owns ephemerals and is not alive:\n%s", m[1], text)
		}
	}
	return alive, nil
}

func parseID(hex string) int64 {
	id, _ := strconv.ParseUint(hex, 16, 64) // the expressions admit nothing else
	return int64(id)
}
