package sim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"

	"github.com/grovekeeper/grove/internal/codec"
	"github.com/grovekeeper/grove/internal/disk"
	"github.com/grovekeeper/grove/server/feed"
	"github.com/grovekeeper/grove/server/member"
	"github.com/grovekeeper/grove/server/replica"
	"github.com/grovekeeper/grove/server/state"
	"github.com/grovekeeper/grove/server/wal"
	"github.com/grovekeeper/grove/znode"
)

const (
	dataDir = "/data"
	walDir  = "/data/log"
	written = "/data/checkpoint"
	draft   = "/data/checkpoint.tmp"
	cluster = 77
)

// errKilled and errFlush are what the disk says of a process that is killed in the middle of a call,
// and of a flush that fails.
var (
	errKilled = errors.New("process is killed")
	errFlush  = errors.New("input/output error")
)

// meta is what a checkpoint says besides the state.
type meta struct {
	node      uint64
	index     uint64
	term      uint64
	conf      []byte
	installed bool // it came from a leader
}

// addServer makes a machine with an empty disk.
func (s *sim) addServer(id uint8, node uint64) *server {
	n := &server{
		s: s, id: id, node: node, r: stream(s.seed, fmt.Sprint("server", id)),
		rate: 1, slow: 1,
	}
	for len(s.servers) <= int(id) {
		s.servers = append(s.servers, nil)
	}
	s.servers[id] = n
	n.blank()
	return n
}

// blank gives a machine an empty disk.
func (n *server) blank() {
	n.fs = disk.NewMemory()
	if err := errors.Join(n.fs.MkdirAll(dataDir), n.fs.MkdirAll(walDir)); err != nil {
		panic(err)
	}
}

// found gives a server the first checkpoint of a new cluster.
func (n *server) found(start replica.Start) {
	m := state.New()
	var out state.Outcome
	m.Apply(znode.Zxid(start.Index), configure(foundingTable(n.s.opt.servers)), &out)
	at := meta{n.node, start.Index, start.Term, start.ConfState, false}
	if err := n.writeCheckpoint(at, imageOf(m.View())); err != nil {
		panic(err)
	}
}

// writeCheckpoint puts a state on disk: the old one stands until the new one does.
func (n *server) writeCheckpoint(m meta, body []byte) error {
	b := codec.AppendUint64(nil, m.node)
	b = codec.AppendUint64(b, m.index)
	b = codec.AppendUint64(b, m.term)
	b = codec.AppendBytes(b, m.conf)
	b = append(b, 0)
	if m.installed {
		b[len(b)-1] = 1
	}
	b = codec.AppendBytes(b, body)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	if err := n.fs.Remove(draft); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := n.fs.Create(draft)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := n.fs.Rename(draft, written); err != nil {
		return err
	}
	return n.fs.SyncDir(dataDir)
}

// readCheckpoint is the inverse; a server without one has a zero meta.
func readCheckpoint(d disk.FS) (m meta, body []byte, err error) {
	f, err := d.Open(written)
	if errors.Is(err, fs.ErrNotExist) {
		return meta{}, nil, nil
	}
	if err != nil {
		return meta{}, nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return meta{}, nil, err
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil {
		return meta{}, nil, err
	}
	if size < 4 || crc32.ChecksumIEEE(b[:size-4]) != binary.BigEndian.Uint32(b[size-4:]) {
		return meta{}, nil, fmt.Errorf("checkpoint of %d bytes is damaged", size)
	}
	r := codec.NewReader(b[:size-4])
	m = meta{node: r.Uint64(), index: r.Uint64(), term: r.Uint64(), conf: append([]byte(nil), r.Bytes()...)}
	m.installed = r.Byte() == 1
	body = r.Bytes()
	return m, body, r.Err()
}

// logOptions are those of the log that goes with a checkpoint.
func (n *server) logOptions(m meta) wal.Options {
	o := wal.Options{
		Identity:     wal.Identity{Cluster: cluster, Member: uint64(n.id), Incarnation: n.node},
		SegmentBytes: n.s.opt.segment, FirstBytes: 4 << 10, Start: m.index + 1, Manual: true,
	}
	if m.index > 1 && !m.installed {
		o.Witness = m.index
	}
	return o
}

// boot starts the process from what the disk holds.
func (n *server) boot() {
	n.life++
	n.up, n.paused, n.held, n.bomb = true, false, nil, 0
	n.process = process{
		pinned: map[uint64]*state.View{}, arrived: map[uint64]*state.Machine{}, dirty: map[string]bool{},
		candidates: map[member.ID]candidate{}, alone: n.s.now,
	}
	n.fs.Hook(n.call)
	n.s.note("boot", uint64(n.id), n.life, n.node, "")
	if err := n.open(); err != nil {
		n.failed(err)
		return
	}
	n.booted++
	n.later(between(n.r, 0, n.s.opt.tick), n.tick)
	n.later(between(n.r, 0, n.s.opt.sessionTick*milli), n.look)
	n.later(50*milli, n.register)
	n.later(20*milli, n.applyForPlace)
	n.kick()
}

func (n *server) open() error {
	m, body, err := readCheckpoint(n.fs)
	if err != nil {
		return err
	}
	if err := n.fs.SyncDir(dataDir); err != nil { // a process that was killed may have renamed it only
		return err
	}
	machine := state.New()
	if m.index > 0 {
		if machine, err = machineOf(body); err != nil {
			return err
		}
		n.s.truth.compare(n, machine.View())
	}
	n.meta = m
	if n.wal, err = wal.Open(n.fs, walDir, n.logOptions(m)); err != nil {
		return err
	}
	n.durable, n.last = n.wal.Hard(), n.wal.Last()
	clear(n.dirty)
	n.s.truth.remembers(n)
	n.feed = feed.New(n.feedConfig(machine, m))
	n.rep, err = replica.Open(n.replicaConfig(m))
	if err != nil {
		return err
	}
	n.hand = n.rep.Hand()
	return nil
}

func (n *server) feedConfig(machine *state.Machine, m meta) feed.Config {
	o := &n.s.opt
	cfg := feed.Config{
		Machine: machine, Log: n, Server: n.id, RecentFrom: znode.Zxid(m.index), RecentMax: o.recentMax,
		InboxBytesMax: 1 << 20, PendingBytesMax: 1 << 20, OnSessions: n.sessions,
		Checkpoint: feed.CheckpointPolicy{Entries: o.checkpoints()}, Term: m.term, ConfState: m.conf,
	}
	if o.inboxSmall {
		cfg.InboxBytesMax = 600
	}
	return cfg
}

func (n *server) replicaConfig(m meta) replica.Config {
	cfg := replica.Config{
		ID: n.node, Log: n.wal, Applier: n, Peers: n, Images: n, OnSoft: n.follow,
		Start: replica.Start{Index: m.index, Term: m.term, ConfState: m.conf, Installed: m.installed},
	}
	if n.s.opt.smallLimits {
		cfg.Limits = replica.Limits{
			InflightBytes: 3000, ApplyBytes: 600, TailBytes: 1200, MessageBytes: 400,
			PeerMessages: 3, PeerBytes: 800, Appends: 2,
		}
	}
	return cfg
}

// call is the hook of the disk: it counts what is not flushed, and fails what is to fail.
func (n *server) call(op disk.Op) error {
	if n.bomb > 0 {
		if n.bomb--; n.bomb == 0 {
			n.bomb = -1
		}
	}
	if n.bomb < 0 {
		return n.blow
	}
	switch op.Kind {
	case disk.OpWrite, disk.OpTruncate:
		if !n.tending { // what is done to segments that are not in use keeps nobody waiting
			n.dirty[op.Name] = true
		}
	case disk.OpSync:
		if n.badly {
			n.badly = false
			n.s.mark(markFlushesFailed)
			return errFlush
		}
		delete(n.dirty, op.Name)
	}
	if op.Name == walDir+"/watermark" {
		delete(n.dirty, op.Name) // never flushed, nothing depends on it
	}
	return nil
}

// failed ends a process that met an error: one that was made up, or a bug.
func (n *server) failed(err error) {
	switch {
	case errors.Is(err, disk.ErrPower), errors.Is(err, errKilled):
		n.s.mark(markTornTails)
		n.stop(errors.Is(err, disk.ErrPower))
	case errors.Is(err, errFlush):
		n.s.note("flush failed", uint64(n.id), 0, 0, "")
		n.stop(false)
	case errors.Is(err, replica.ErrRemoved):
		n.s.note("removed", uint64(n.id), n.node, 0, "")
		if n.s.truth.belongs(n) {
			n.s.broken("M1", "server %d ends as one that was removed, and is a member", n.id)
		}
		n.stop(false)
		n.retired = true
		return
	default:
		n.s.broken("start", "server %d: %v", n.id, err)
	}
	n.s.reboot(n)
}

// blast ends a process whose disk has gone in the middle of something that does not say so.
func (n *server) blast() {
	if n.up && n.bomb < 0 {
		n.failed(n.blow)
	}
}

// stop ends the process; with the power goes what was not flushed.
func (n *server) stop(power bool) {
	n.s.note("stop", uint64(n.id), n.life, 0, fmt.Sprint(power))
	n.up, n.paused, n.held = false, false, nil
	n.bomb, n.badly, n.slow = 0, false, 1
	n.s.mark(markCrashes)
	for _, c := range n.conns {
		c.lost()
	}
	n.conns = nil
	n.s.net.died(n, power)
	n.fs.Hook(nil)
	if power {
		n.s.mark(markPowerCuts)
		n.cutPower()
	}
}

// cutPower loses what was not flushed: all of it; all from one byte on; or any sectors of it. It does not
// tear a sector in the middle of a write whose end is there: disks do not, and the log, which can tell a
// bent bit from a lost sector, would once in some thousand times take one for the other and refuse to start.
func (n *server) cutPower() {
	how, left := n.r.IntN(3), n.r.IntN(40)
	n.fs.CutPower(func(u disk.Unit) int {
		left--
		switch {
		case how == 0, how == 1 && left < 0, how == 2 && n.r.IntN(2) == 0:
			return disk.Lost
		case how == 1 && left == 0:
			return n.r.IntN(u.Len + 1)
		}
		return disk.Kept
	})
}
