package reaper

import (
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/session"
)

// Judge is a term of office of a Reaper without its goroutine and its clocks, for a simulation: the
// same two judges, and the caller says what time it is. It begins by giving every session a full
// timeout. All times are in milliseconds; mono is a monotonic clock, wall the time of day.
type Judge struct {
	silence *silence
	empty   *emptiness
}

// NewJudge begins a term of office at mono, over the sessions of v.
func NewJudge(set Settings, v *state.View, mono int64) *Judge {
	return &Judge{newSilence(set.TickMs, v.Sessions, mono), newEmptiness(set, mono)}
}

// Sessions takes in what became of sessions at mono.
func (j *Judge) Sessions(changes []state.SessionChange, mono int64) {
	for _, c := range changes {
		j.silence.change(c, mono)
	}
}

// Look returns the verdicts that are due. heard are the sessions that sent anything since the last
// look; the caller looks once a tick.
func (j *Judge) Look(v *state.View, heard []session.ID, mono, wall int64) []state.Command {
	out := j.silence.look(v.Sessions, heard, mono, wall)
	return append(out, j.empty.look(v.Nodes, mono, wall)...)
}
