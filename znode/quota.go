package znode

import (
	"bytes"
	"strconv"
	"strings"
)

// A quota on /a is the pair of nodes below: limits written by clients, usage written by the
// tree, in place, whenever something at or below /a changes.
//
//	/zookeeper/quota/a/zookeeper_limits    count=10,bytes=-1=;countHardLimit=12
//	/zookeeper/quota/a/zookeeper_stats     count=3,bytes=120
const (
	quotaRoot  = "/zookeeper/quota"
	limitsName = "/zookeeper_limits"
	statsName  = "/zookeeper_stats"
)

// quotaPrefix returns the path that the quota node at path speaks of. A quota on the root is
// inert: ok is false.
func quotaPrefix(path, name string) (prefix string, ok bool) {
	if !strings.HasPrefix(path, quotaRoot+"/") || !strings.HasSuffix(path, name) {
		return "", false
	}
	prefix = path[len(quotaRoot) : len(path)-len(name)]
	return prefix, prefix != ""
}

// usage is what a stats or a limits node says; -1 is unset.
type usage struct {
	count, bytes         int64
	countHard, bytesHard int64
}

// parseUsage reads "key=value" pieces between commas and semicolons. Unknown keys are skipped,
// values that are not numbers are not.
func parseUsage(data []byte) (usage, bool) {
	u := usage{-1, -1, -1, -1}
	if data == nil {
		return u, false
	}
	for len(data) > 0 {
		piece := data
		if i := bytes.IndexAny(data, ",;"); i >= 0 {
			piece, data = data[:i], data[i+1:]
		} else {
			data = nil
		}
		if !u.parse(string(piece)) {
			return usage{}, false
		}
	}
	return u, true
}

func (u *usage) parse(piece string) bool {
	key, value, _ := strings.Cut(piece, "=")
	value, _, _ = strings.Cut(value, "=")
	n := int64(-1)
	if value != "" {
		var err error
		if n, err = strconv.ParseInt(value, 10, 64); err != nil {
			return false
		}
	}
	switch key {
	case "count":
		u.count = n
	case "bytes":
		u.bytes = n
	case "countHardLimit":
		u.countHard = n
	case "byteHardLimit":
		u.bytesHard = n
	}
	return true
}

func (u usage) append(b []byte) []byte {
	b = strconv.AppendInt(append(b, "count="...), u.count, 10)
	return strconv.AppendInt(append(b, ",bytes="...), u.bytes, 10)
}

// quotaOf returns the deepest path with limits at or above path.
func (t *Tree) quotaOf(path string) (prefix string, ok bool) {
	if t.quotas.len() == 0 {
		return "", false
	}
	for prefix = path; prefix != root && prefix != ""; prefix, _ = KeyOf(prefix) {
		if t.quotas.has(prefix) {
			return prefix, true
		}
	}
	return "", false
}

// admit refuses to add count nodes and size bytes at path if that would exceed a hard limit.
func (t *Tree) admit(e *Edit, path string, count, size int64) error {
	if !e.EnforceQuota {
		return nil
	}
	prefix, ok := t.quotaOf(path)
	if !ok {
		return nil
	}
	limits, ok := parseUsage(t.Get(quotaRoot + prefix + limitsName).Data())
	if !ok {
		return ErrMarshalling
	}
	stats := t.Get(quotaRoot + prefix + statsName)
	if stats == nil {
		return nil
	}
	used, ok := parseUsage(stats.Data())
	if !ok {
		used = t.measure(prefix)
	}
	switch {
	case count != 0 && limits.countHard >= 0 && used.count+count > limits.countHard,
		size != 0 && limits.bytesHard >= 0 && used.bytes+size > limits.bytesHard:
		return ErrQuotaExceeded
	}
	return nil
}

// charge accounts for an edit at path that has been made. Stats that a client has set count on
// from what it set, as in ZooKeeper; if that does not parse, the usage is measured.
func (t *Tree) charge(e *Edit, path string, count, size int64) {
	if count > 0 {
		if prefix, ok := quotaPrefix(path, statsName); ok {
			t.record(e, prefix, t.measure(prefix))
		}
	}
	prefix, ok := t.quotaOf(path)
	if !ok || count == 0 && size == 0 {
		return
	}
	stats := t.Get(quotaRoot + prefix + statsName)
	if stats == nil {
		return
	}
	u, ok := parseUsage(stats.Data())
	if ok {
		u.count += count
		u.bytes += size
	} else {
		u = t.measure(prefix)
	}
	t.record(e, prefix, u)
}

// record writes usage in place: neither version nor time nor zxid of the stats node move.
func (t *Tree) record(e *Edit, prefix string, u usage) {
	path := quotaRoot + prefix + statsName
	stats := t.Get(path)
	n := stats.withData(stats.facts, u.append(nil))
	t.put(n)
	e.changed(Touched, path, n.acl, nil)
}

// measure counts the nodes at and below prefix and their data.
func (t *Tree) measure(prefix string) usage {
	var u usage
	add := func(n *Node) bool {
		u.count++
		u.bytes += int64(len(n.Data()))
		return true
	}
	if n := t.Get(prefix); n != nil {
		add(n)
		t.below(prefix, add)
	}
	return u
}
