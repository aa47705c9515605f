package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
)

// pages holds one row per page under /commands, in the order in which they are listed.
var pages = [...]pageRow{
	{"configuration", []string{"conf", "config"}, 0, configurationPage},
	{"connection_stat_reset", []string{"crst"}, changes, connectionResetPage},
	{"connections", []string{"cons"}, 0, connectionsPage},
	{"dirs", nil, 0, dirsPage},
	{"dump", nil, 0, dumpPage},
	{"environment", []string{"env", "envi"}, anytime, environmentPage},
	{"is_read_only", []string{"isro"}, 0, readOnlyPage},
	{"leader", []string{"lead"}, 0, leaderPage},
	{"monitor", []string{"mntr"}, 0, monitorPage},
	{"ruok", nil, anytime, ruokPage},
	{"server_stats", []string{"srvr"}, 0, serverStatsPage},
	{"stat_reset", []string{"srst"}, changes, serverResetPage},
	{"stats", []string{"stat"}, 0, statsPage},
	{"watch_summary", []string{"wchs"}, 0, watchSummaryPage},
	{"watches", []string{"wchc"}, 0, watchesPage},
	{"watches_by_path", []string{"wchp"}, 0, watchesByPathPage},
}

type pageRow struct {
	name    string
	aliases []string
	traits  pageTrait
	build   func(Source) object
}

type pageTrait uint8

const (
	anytime pageTrait = 1 << iota // answered also while the server is not serving
	changes                       // answered to POST only, so that no link or image can ask for it
)

// object is a JSON object whose members keep their order.
type object []member

type member struct {
	key   string
	value any
}

// MarshalJSON implements json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(m.key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.key, err)
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func listPages(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	for _, p := range pages {
		fmt.Fprintf(w, "<a href=\"/commands/%s\">%s</a>\n<br/>\n", p.name, p.name)
	}
}

func servePage(source Source, w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	p, known := page(name)
	if known && (p.traits&changes != 0) != (r.Method == http.MethodPost) {
		http.Error(w, "reset figures with POST, read them with GET", http.StatusMethodNotAllowed)
		return
	}
	body, err := json.MarshalIndent(answer(source, name, p, known), "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(body) // a reader that has gone needs no answer
}

// answer is what ZooKeeper says: the fields of the page, then the command's name and the error.
func answer(source Source, asked string, p pageRow, known bool) object {
	switch {
	case !known:
		return object{{"command", asked}, {"error", "Unknown command: " + asked}}
	case p.traits&anytime == 0 && !source.Stats().Serving:
		return object{{"command", p.name}, {"error", notServing[:len(notServing)-1]}}
	}
	return append(p.build(source), member{"command", p.name}, member{"error", nil})
}

func page(name string) (pageRow, bool) {
	for _, p := range pages {
		if p.name == name || slices.Contains(p.aliases, name) {
			return p, true
		}
	}
	return pageRow{}, false
}
