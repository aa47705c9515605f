package admin

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"
)

// dump lists sessions by expiry bucket, their ephemeral nodes and the connections. It names
// session ids, which open nothing without the password, and no password.
func dump(source Source, w io.Writer) {
	dumpSessions(source.Sessions(), w)
	dumpEphemerals(source.Ephemerals(), w)
	dumpConnections(source.Connections(), w)
}

func dumpSessions(list []Session, w io.Writer) {
	sets := grouped(byExpiry(list), expiryOf, idOf)
	fmt.Fprint(w, "SessionTracker dump:\n")
	fmt.Fprintf(w, "Session Sets (%d)/(%d):\n", count(sets), len(list))
	for at, ids := range sets {
		fmt.Fprintf(w, "%d expire at %s:\n", len(ids), date(at))
		for _, id := range ids {
			fmt.Fprintf(w, "\t%s\n", hex(id))
		}
	}
}

func dumpEphemerals(list []Ephemeral, w io.Writer) {
	owners := grouped(byOwner(list), ownerOf, nodeOf)
	fmt.Fprint(w, "ephemeral nodes dump:\n")
	fmt.Fprintf(w, "Sessions with Ephemerals (%d):\n", count(owners))
	for id, paths := range owners {
		fmt.Fprintf(w, "%s:\n", hex(id))
		for _, path := range paths {
			fmt.Fprintf(w, "\t%s\n", path)
		}
	}
}

func dumpConnections(list []Connection, w io.Writer) {
	slices.SortFunc(list, func(a, b Connection) int {
		return cmp.Or(cmp.Compare(a.ExpiresMs, b.ExpiresMs), a.Remote.Compare(b.Remote))
	})
	sets := grouped(list, func(c Connection) int64 { return c.ExpiresMs }, func(c Connection) Connection { return c })
	fmt.Fprint(w, "Connections dump:\n")
	fmt.Fprintf(w, "Connections Sets (%d)/(%d):\n", count(sets), len(list))
	for at, set := range sets {
		fmt.Fprintf(w, "%d expire at %s:\n", len(set), date(at))
		for _, c := range set {
			fmt.Fprintf(w, "\tip: /%s sessionId: %s\n", c.Remote, hex(c.Session))
		}
	}
}

// date is what Java's Date prints, always in UTC: a dump may be read far from the server.
func date(unixMs int64) string {
	return time.UnixMilli(unixMs).UTC().Format("Mon Jan 02 15:04:05 MST 2006")
}

func expiryOf(s Session) int64  { return s.ExpiresMs }
func idOf(s Session) int64      { return s.ID }
func ownerOf(e Ephemeral) int64 { return e.Owner }
func nodeOf(e Ephemeral) string { return e.Path }

func byExpiry(list []Session) []Session {
	slices.SortFunc(list, func(a, b Session) int {
		return cmp.Or(cmp.Compare(a.ExpiresMs, b.ExpiresMs), cmp.Compare(a.ID, b.ID))
	})
	return list
}

func byOwner(list []Ephemeral) []Ephemeral {
	slices.SortFunc(list, func(a, b Ephemeral) int {
		return cmp.Or(cmp.Compare(a.Owner, b.Owner), strings.Compare(a.Path, b.Path))
	})
	return list
}

// grouped yields each run of rows that share a key, with the part of each row that is wanted.
func grouped[T any, K comparable, P any](rows []T, key func(T) K, part func(T) P) iter.Seq2[K, []P] {
	return func(yield func(K, []P) bool) {
		for first := 0; first < len(rows); {
			final := first
			var parts []P
			for ; final < len(rows) && key(rows[final]) == key(rows[first]); final++ {
				parts = append(parts, part(rows[final]))
			}
			if !yield(key(rows[first]), parts) {
				return
			}
			first = final
		}
	}
}

func count[K, V any](groups iter.Seq2[K, V]) int {
	n := 0
	for range groups {
		n++
	}
	return n
}
