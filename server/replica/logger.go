package replica

import (
	"context"
	"fmt"
	"log/slog"

	"go.etcd.io/raft/v3"
)

// raftLogger lets Raft speak through slog. What it calls information is for whoever studies an
// election, not for operators, who get one line from the Replica when the leader changes.
type raftLogger struct{ log *slog.Logger }

var _ raft.Logger = raftLogger{}

func (l raftLogger) say(level slog.Level, v []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, "raft: "+fmt.Sprint(v...))
	}
}

func (l raftLogger) sayf(level slog.Level, format string, v []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, "raft: "+fmt.Sprintf(format, v...))
	}
}

func (l raftLogger) Debug(v ...any)                   { l.say(slog.LevelDebug, v) }
func (l raftLogger) Debugf(format string, v ...any)   { l.sayf(slog.LevelDebug, format, v) }
func (l raftLogger) Info(v ...any)                    { l.say(slog.LevelDebug, v) }
func (l raftLogger) Infof(format string, v ...any)    { l.sayf(slog.LevelDebug, format, v) }
func (l raftLogger) Warning(v ...any)                 { l.say(slog.LevelWarn, v) }
func (l raftLogger) Warningf(format string, v ...any) { l.sayf(slog.LevelWarn, format, v) }
func (l raftLogger) Error(v ...any)                   { l.say(slog.LevelError, v) }
func (l raftLogger) Errorf(format string, v ...any)   { l.sayf(slog.LevelError, format, v) }

// Fatal and Panic are Raft's way to say that an invariant is broken; nobody recovers from them.
func (l raftLogger) Fatal(v ...any)                 { panic(fmt.Sprint(v...)) }
func (l raftLogger) Fatalf(format string, v ...any) { panic(fmt.Sprintf(format, v...)) }
func (l raftLogger) Panic(v ...any)                 { panic(fmt.Sprint(v...)) }
func (l raftLogger) Panicf(format string, v ...any) { panic(fmt.Sprintf(format, v...)) }
