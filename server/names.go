package server

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/grovekeeper/grove/server/member"
)

// named shows nodes as people know them, in the lines of parts to which a node is a number like any other.
type named struct{ slog.Handler }

// Handle is part of slog.Handler.
func (h named) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(slog.Attr{Key: a.Key, Value: name(a.Key, a.Value)})
		return true
	})
	return h.Handler.Handle(ctx, out)
}

// WithAttrs and WithGroup are part of slog.Handler.
func (h named) WithAttrs(attrs []slog.Attr) slog.Handler { return named{h.Handler.WithAttrs(attrs)} }
func (h named) WithGroup(name string) slog.Handler       { return named{h.Handler.WithGroup(name)} }

// named is the log for those parts.
func (s *Server) named() *slog.Logger { return slog.New(named{s.log.Handler()}) }

func name(key string, v slog.Value) slog.Value {
	switch key {
	case "member", "leader", "peer", "self", "to":
		if v.Kind() == slog.KindUint64 {
			return slog.StringValue(nodeName(v.Uint64()))
		}
	case "voters", "outgoing", "learners":
		if list, ok := v.Any().([]uint64); ok {
			names := make([]string, len(list))
			for i, n := range list {
				names[i] = nodeName(n)
			}
			return slog.StringValue(strings.Join(names, " "))
		}
	case "cluster", "its cluster":
		if v.Kind() == slog.KindUint64 {
			return slog.StringValue(fmt.Sprintf("%016x", v.Uint64()))
		}
	}
	return v
}

// nodeName is a node's, or that of a server alone or meant by its number only, or nobody's.
func nodeName(node uint64) string {
	switch {
	case node == 0:
		return "none"
	case node == uint64(member.Node(node).ID()):
		return strconv.FormatUint(node, 10)
	}
	return member.Node(node).String()
}
