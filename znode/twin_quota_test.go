package znode

import (
	"fmt"
	"strconv"
	"strings"
)

func twinQuota(path, name string) (string, bool) {
	subject, ok := strings.CutSuffix(strings.TrimPrefix(path, "/zookeeper/quota"), name)
	return subject, ok && strings.HasPrefix(path, "/zookeeper/quota/") && subject != ""
}

// quotaOf tries all limits for the one that is deepest.
func (w *twin) quotaOf(path string) (deepest string) {
	for p := range w.nodes {
		if subject, ok := twinQuota(p, "/zookeeper_limits"); ok && len(subject) > len(deepest) &&
			(path == subject || strings.HasPrefix(path, subject+"/")) {
			deepest = subject
		}
	}
	return deepest
}

func twinUsage(n twinNode) (map[string]int, bool) {
	u := map[string]int{"count": -1, "bytes": -1, "countHardLimit": -1, "byteHardLimit": -1}
	if n.null {
		return u, false
	}
	for _, piece := range strings.FieldsFunc(n.data, func(r rune) bool { return r == ',' || r == ';' }) {
		kv := strings.Split(piece, "=")
		u[kv[0]] = -1
		if len(kv) > 1 && kv[1] != "" {
			v, err := strconv.Atoi(kv[1])
			if err != nil {
				return nil, false
			}
			u[kv[0]] = v
		}
	}
	return u, true
}

func (w *twin) measured(subject string) (count, size int) {
	if n, ok := w.nodes[subject]; ok {
		count, size = 1, len(n.data)
	}
	for _, p := range w.below(subject) {
		count, size = count+1, size+len(w.nodes[p].data)
	}
	return count, size
}

func (w *twin) measure(subject string) {
	count, size := w.measured(subject)
	w.record(subject, count, size)
}

func (w *twin) record(subject string, count, size int) {
	path := "/zookeeper/quota" + subject + "/zookeeper_stats"
	n := w.nodes[path]
	n.data, n.null = fmt.Sprintf("count=%d,bytes=%d", count, size), false
	w.nodes[path] = n
}

func (w *twin) admit(path string, count, size int) error {
	subject := w.quotaOf(path)
	if !w.enforce || subject == "" {
		return nil
	}
	limits, ok := twinUsage(w.nodes["/zookeeper/quota"+subject+"/zookeeper_limits"])
	if !ok {
		return ErrMarshalling
	}
	stats, ok := w.nodes["/zookeeper/quota"+subject+"/zookeeper_stats"]
	if !ok {
		return nil
	}
	u, ok := twinUsage(stats)
	if !ok {
		u = map[string]int{}
		u["count"], u["bytes"] = w.measured(subject)
	}
	if hard := limits["countHardLimit"]; count != 0 && hard > -1 && u["count"]+count > hard {
		return ErrQuotaExceeded
	}
	if hard := limits["byteHardLimit"]; size != 0 && hard > -1 && u["bytes"]+size > hard {
		return ErrQuotaExceeded
	}
	return nil
}

func (w *twin) charge(path string, count, size int) {
	subject := w.quotaOf(path)
	stats, ok := w.nodes["/zookeeper/quota"+subject+"/zookeeper_stats"]
	if subject == "" || !ok || count == 0 && size == 0 {
		return
	}
	if u, ok := twinUsage(stats); ok {
		w.record(subject, u["count"]+count, u["bytes"]+size)
	} else {
		w.measure(subject)
	}
}
