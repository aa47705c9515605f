package admin

import (
	"bufio"
	"fmt"
	"io"
	"slices"
)

// words holds one row per four-letter word. Which words exist, which are answered unless the
// operator says otherwise, and how each is rendered, all come from here.
var words = [...]wordRow{
	{"conf", safe, conf},
	{"cons", safe, cons},
	{"crst", 0, crst},
	{"dirs", safe, dirs},
	{"dump", safe, dump},
	{"envi", safe | always, envi},
	{"isro", safe | always, isro},
	{"mntr", safe, mntr},
	{"ruok", safe | always, ruok},
	{"srst", 0, srst},
	{"srvr", safe, srvr},
	{"stat", safe, stat},
	{"wchc", 0, wchc},
	{"wchp", 0, wchp},
	{"wchs", safe, wchs},
}

type wordRow struct {
	name   string
	traits trait
	render func(Source, io.Writer)
}

type trait uint8

const (
	safe   trait = 1 << iota // changes nothing and costs no more than there are sessions
	always                   // answered also while the server is not serving
)

const notServing = "This ZooKeeper instance is not currently serving requests\n"

// Word tells whether the first four bytes of a connection, read as a big-endian number, are a
// four-letter word and which. None of them is a length that a frame could have.
func Word(first uint32) (string, bool) {
	name := string([]byte{byte(first >> 24), byte(first >> 16), byte(first >> 8), byte(first)})
	_, ok := row(name)
	return name, ok
}

// Words lists every word, in alphabetical order.
func Words() []string { return names(func(wordRow) bool { return true }) }

// DefaultWords lists the words answered when no whitelist is given: those that change nothing
// and whose cost does not grow with the number of watches. So not crst, srst, wchc and wchp.
func DefaultWords() []string { return names(func(r wordRow) bool { return r.traits&safe != 0 }) }

// FourLetter writes the answer to word. A word that is not known or not on the whitelist, and one
// that is asked of a server that is not serving, is answered with a sentence saying so. The error is
// that of w. isro needs no whitelist while the server is read-only: the clients of such a server ask the
// others with it.
func FourLetter(word string, source Source, w io.Writer) error {
	out := bufio.NewWriter(w)
	r, known := row(word)
	switch {
	case !known:
		fmt.Fprintf(out, "%s is not executed because it is not known.\n", word)
	case !allowed(word, source.Settings().FourLetterWords) && !(word == "isro" && source.Stats().ReadOnly):
		fmt.Fprintf(out, "%s is not executed because it is not in the whitelist.\n", word)
	case r.traits&always == 0 && !source.Stats().Serving:
		fmt.Fprint(out, notServing)
	default:
		r.render(source, out)
	}
	return out.Flush()
}

func allowed(word string, whitelist []string) bool {
	return slices.Contains(whitelist, word) || slices.Contains(whitelist, "*")
}

func row(name string) (wordRow, bool) {
	for _, r := range words {
		if r.name == name {
			return r, true
		}
	}
	return wordRow{}, false
}

func names(keep func(wordRow) bool) []string {
	var list []string
	for _, r := range words {
		if keep(r) {
			list = append(list, r.name)
		}
	}
	return list
}
