package admin

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

func wchs(source Source, w io.Writer) {
	s := source.Stats().Watch
	fmt.Fprintf(w, "%d connections watching %d paths\n", s.Connections, s.Paths)
	fmt.Fprintf(w, "Total watches:%d\n", s.Watches)
}

func wchc(source Source, w io.Writer) {
	for session, paths := range grouped(bySession(source.Watches()), sessionOf, pathOf) {
		fmt.Fprintf(w, "%s\n", hex(session))
		for _, path := range paths {
			fmt.Fprintf(w, "\t%s\n", path)
		}
	}
	fmt.Fprint(w, "\n")
}

func wchp(source Source, w io.Writer) {
	for path, sessions := range grouped(byPath(source.Watches()), pathOf, sessionOf) {
		fmt.Fprintf(w, "%s\n", path)
		for _, session := range sessions {
			fmt.Fprintf(w, "\t%s\n", hex(session))
		}
	}
	fmt.Fprint(w, "\n")
}

func sessionOf(w Watch) int64 { return w.Session }
func pathOf(w Watch) string   { return w.Path }

// bySession and byPath sort and leave one row for a session that watches a path in many ways.
func bySession(list []Watch) []Watch {
	slices.SortFunc(list, func(a, b Watch) int {
		return cmp.Or(cmp.Compare(a.Session, b.Session), strings.Compare(a.Path, b.Path))
	})
	return slices.Compact(list)
}

func byPath(list []Watch) []Watch {
	slices.SortFunc(list, func(a, b Watch) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), cmp.Compare(a.Session, b.Session))
	})
	return slices.Compact(list)
}
