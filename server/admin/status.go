package admin

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// CompatVersion is the release of Apache ZooKeeper whose protocol and answers Grove follows.
// It leads the version shown to clients, because some of them choose what to send by it.
const CompatVersion = "3.9.5"

// versionLine stands where ZooKeeper shows version, commit and build date. Parsers cut it at the
// first dash. The date is written as releases before 3.6 did, because the Go client insists on it.
func versionLine(s Stats) string {
	return CompatVersion + "-grove-" + s.Version + ", built on " + s.Built.UTC().Format("01/02/2006 15:04 MST")
}

func ruok(_ Source, w io.Writer) { io.WriteString(w, "imok") }

func isro(source Source, w io.Writer) {
	switch s := source.Stats(); {
	case !s.Serving:
		io.WriteString(w, "null")
	case s.ReadOnly:
		io.WriteString(w, "ro")
	default:
		io.WriteString(w, "rw")
	}
}

func srvr(source Source, w io.Writer) {
	s := source.Stats()
	fmt.Fprintf(w, "Zookeeper version: %s\n", versionLine(s))
	serverLines(s, w)
}

func stat(source Source, w io.Writer) {
	s := source.Stats()
	fmt.Fprintf(w, "Zookeeper version: %s\n", versionLine(s))
	fmt.Fprint(w, "Clients:\n")
	for _, c := range byRemote(source.Connections()) {
		fmt.Fprintf(w, "%s\n", brief(c))
	}
	fmt.Fprint(w, "\n")
	serverLines(s, w)
}

func serverLines(s Stats, w io.Writer) {
	if s.ReadOnly {
		fmt.Fprint(w, "READ-ONLY mode; serving only read-only clients\n")
	}
	fmt.Fprintf(w, "Latency min/avg/max: %d/%s/%d\n", s.Latency.MinMs, double(s.Latency.AvgMs), s.Latency.MaxMs)
	fmt.Fprintf(w, "Received: %d\n", s.Load.PacketsReceived)
	fmt.Fprintf(w, "Sent: %d\n", s.Load.PacketsSent)
	fmt.Fprintf(w, "Connections: %d\n", s.Load.Connections)
	fmt.Fprintf(w, "Outstanding: %d\n", s.Load.Outstanding)
	fmt.Fprintf(w, "Zxid: %s\n", hex(s.Tree.Zxid))
	fmt.Fprintf(w, "Mode: %s\n", s.Mode)
	fmt.Fprintf(w, "Node count: %d\n", s.Tree.Nodes)
}

func cons(source Source, w io.Writer) {
	for _, c := range byRemote(source.Connections()) {
		fmt.Fprint(w, strings.TrimSuffix(brief(c), ")"), details(c), ")\n")
	}
	fmt.Fprint(w, "\n")
}

// brief is the line of one connection as stat shows it. The number in brackets is ZooKeeper's
// set of selector interests: 1 while it is being read, 0 while it is not.
func brief(c Connection) string {
	return fmt.Sprintf(" /%s[%x](queued=%d,recved=%d,sent=%d)",
		c.Remote, interest(c), c.Queued, c.Received, c.Sent)
}

func interest(c Connection) int {
	if c.Paused {
		return 0
	}
	return 1
}

// details is what cons adds to it once there is a session.
func details(c Connection) string {
	if c.Session == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, ",sid=%s,lop=%s,est=%d,to=%d", hex(c.Session), c.LastOp, c.EstablishedMs, c.TimeoutMs)
	fmt.Fprintf(&b, ",lcxid=%s,lzxid=%s,lresp=%d", hex(c.LastCxid), hex(c.LastZxid), c.LastResponseMs)
	fmt.Fprintf(&b, ",llat=%d,minlat=%d,avglat=%d,maxlat=%d", c.LastMs, c.MinMs, c.AvgMs, c.MaxMs)
	return b.String()
}

func byRemote(list []Connection) []Connection {
	slices.SortFunc(list, func(a, b Connection) int { return a.Remote.Compare(b.Remote) })
	return list
}

func crst(source Source, w io.Writer) {
	source.ResetConnections()
	fmt.Fprint(w, "Connection stats reset.\n")
}

func srst(source Source, w io.Writer) {
	source.ResetServer()
	fmt.Fprint(w, "Server stats reset.\n")
}

// hex writes v as Java does: a negative number by its bits. Session ids of servers 128 and up are.
func hex(v int64) string { return "0x" + strconv.FormatUint(uint64(v), 16) }

// double writes v as Java prints a double after rounding to four places: always with a point.
func double(v float64) string {
	text := strconv.FormatFloat(math.Round(v*1e4)/1e4, 'f', -1, 64)
	if strings.Contains(text, ".") {
		return text
	}
	return text + ".0"
}
