package replica

import (
	"errors"
	"fmt"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/grovekeeper/grove/server/wal"
)

// mark is a place in the log.
type mark struct{ index, term uint64 }

// store is what Raft takes for its storage: everything that was handed out to be written, whether
// it is durable yet or not. Raft asks here only for what it knows to be durable, so nobody sees the
// difference; in return the store belongs to the Core alone and needs no lock. The newest entries
// are in memory, the older ones are read from the log.
type store struct {
	log   Reader
	hard  *pb.HardState        // as found at the start
	conf  *pb.ConfState        // the membership at the start
	image func() (Image, bool) // nil if there are none
	fail  error                // the first error of the log; Raft panics on it, see Core.guard

	base    mark   // everything up to here is gone; its term is still known
	last    mark   // the newest entry handed out
	tail    tail   // a suffix of (base, last]
	durable uint64 // entries up to here may be read from the log instead of the tail

	issued    uint64 // number of the newest append
	rewritten uint64 // number of the newest append that replaced entries, or reset the log
}

// openStore checks that log and start fit together, and returns a store in which nothing above the
// log's end has been written.
func openStore(log Reader, start Start) (*store, error) {
	s := &store{log: log, conf: &pb.ConfState{}}
	if err := proto.Unmarshal(start.ConfState, s.conf); err != nil {
		return nil, fmt.Errorf("%w: membership at %d: %w", ErrStart, start.Index, err)
	}
	pb.EnsureConfState(s.conf)
	if joins := start.Index == 0; joins != (len(s.conf.Voters) == 0) {
		return nil, fmt.Errorf("%w: %d voters at index %d: see Bootstrap",
			ErrStart, len(s.conf.Voters), start.Index)
	}
	if err := s.place(start); err != nil {
		return nil, err
	}
	return s, s.remember(start)
}

// place finds base and last.
func (s *store) place(start Start) error {
	first, final := s.log.First(), s.log.Last()
	if final < start.Index || first > start.Index+1 {
		return fmt.Errorf("%w: log holds %d to %d, state is at %d", ErrStart, first, final, start.Index)
	}
	s.base = mark{start.Index, start.Term}
	if first <= start.Index { // kept for slow peers; the first only lends its term
		term, err := s.log.Term(first)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrStart, err)
		}
		s.base = mark{first, term}
		if term, err = s.log.Term(start.Index); err != nil || term != start.Term {
			return fmt.Errorf("%w: entry %d has term %d in the log, %d in the state: %w",
				ErrStart, start.Index, term, start.Term, err)
		}
	}
	s.last, s.durable = s.base, final
	if final > s.base.index {
		term, err := s.log.Term(final)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrStart, err)
		}
		s.last = mark{final, term}
	}
	return nil
}

// remember finds the hard state. That of the log may be behind the state, which came from agreed
// entries: of a new cluster, or by an image.
func (s *store) remember(start Start) error {
	h := s.log.Hard()
	if h.Commit > s.last.index {
		return fmt.Errorf("%w: log ends at %d, entries up to %d were agreed",
			ErrStart, s.last.index, h.Commit)
	}
	if term := max(start.Term, s.last.term); h.Term < term {
		h.Term, h.Vote = term, 0
	}
	h.Commit = max(h.Commit, start.Index)
	s.hard = &pb.HardState{Term: new(h.Term), Vote: new(h.Vote), Commit: new(h.Commit)}
	return nil
}

// InitialState is part of raft.Storage.
func (s *store) InitialState() (*pb.HardState, *pb.ConfState, error) { return s.hard, s.conf, nil }

// FirstIndex is part of raft.Storage.
func (s *store) FirstIndex() (uint64, error) { return s.base.index + 1, nil }

// LastIndex is part of raft.Storage.
func (s *store) LastIndex() (uint64, error) { return s.last.index, nil }

// Term is part of raft.Storage.
func (s *store) Term(i uint64) (uint64, error) {
	switch {
	case i == s.last.index:
		return s.last.term, nil
	case i == s.base.index:
		return s.base.term, nil
	case i < s.base.index:
		return 0, raft.ErrCompacted
	case i > s.last.index:
		return 0, raft.ErrUnavailable
	}
	if e := s.tail.at(i); e != nil {
		return e.GetTerm(), nil
	}
	term, err := s.log.Term(i)
	if err != nil {
		return 0, s.broke(err)
	}
	return term, nil
}

// Entries is part of raft.Storage. What comes from the log may be shorter than size allows where
// the tail begins; Raft asks again.
func (s *store) Entries(lo, hi, size uint64) ([]*pb.Entry, error) {
	if lo <= s.base.index {
		return nil, raft.ErrCompacted
	}
	if hi > s.last.index+1 {
		return nil, raft.ErrUnavailable
	}
	if s.tail.at(lo) != nil {
		return s.tail.slice(lo, hi, size), nil
	}
	if len(s.tail.entries) > 0 {
		hi = min(hi, s.tail.first)
	}
	read, err := s.log.Entries(lo, hi, size)
	if err != nil {
		return nil, s.broke(err)
	}
	entries, err := fromLog(read)
	if err != nil {
		return nil, s.broke(err)
	}
	return entries[:limit(entries, size)], nil
}

// Snapshot is part of raft.Storage.
func (s *store) Snapshot() (*pb.Snapshot, error) {
	if s.image == nil {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	image, ok := s.image()
	if !ok || image.Index < s.base.index {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	conf := &pb.ConfState{}
	if err := proto.Unmarshal(image.ConfState, conf); err != nil {
		return nil, s.broke(fmt.Errorf("membership of the image at %d: %w", image.Index, err))
	}
	return &pb.Snapshot{Data: image.Data, Metadata: &pb.SnapshotMetadata{
		Index: new(image.Index), Term: new(image.Term), ConfState: pb.EnsureConfState(conf),
	}}, nil
}

// broke remembers that the log failed. The errors Raft knows are not for these: they would tell it
// that entries are gone which it has been promised.
func (s *store) broke(err error) error {
	if errors.Is(err, wal.ErrCompacted) || errors.Is(err, wal.ErrUnavailable) {
		err = fmt.Errorf("entries %d to %d were handed to the log: %w",
			s.base.index+1, s.last.index, err)
	}
	if s.fail == nil {
		s.fail = fmt.Errorf("read log: %w", err)
	}
	return s.fail
}

// append takes entries that are handed out to be written and returns the number of the append.
func (s *store) append(entries []*pb.Entry) uint64 {
	s.issued++
	if len(entries) == 0 {
		return s.issued
	}
	if from := entries[0].GetIndex(); from <= s.last.index {
		s.rewritten, s.durable = s.issued, min(s.durable, from-1)
	}
	final := entries[len(entries)-1]
	s.tail.append(entries)
	s.last = mark{final.GetIndex(), final.GetTerm()}
	return s.issued
}

// reset forgets everything: an image up to at takes its place. It returns the number of the append
// that carries it.
func (s *store) reset(at mark) uint64 {
	s.issued++
	s.rewritten, s.durable = s.issued, at.index
	s.base, s.last, s.tail = at, at, tail{}
	return s.issued
}

// stable is told that append number n, which ended at final, is durable. One that was overtaken by
// a rewrite says nothing: the entries it wrote may not be those of the tail. The rewrite's own
// report will.
func (s *store) stable(n, final uint64) {
	if n >= s.rewritten {
		s.durable = max(s.durable, final)
	}
}

// trim drops from the tail what is durable and either beyond keep bytes or, for a server whose
// entries nobody else will ask for, applied.
func (s *store) trim(applied uint64, alone bool, keep int) {
	if alone {
		s.tail.cutHead(min(applied, s.durable), 0)
	}
	s.tail.cutHead(s.durable, keep)
}

// compact forgets the entries up to and including index, which must be durable.
func (s *store) compact(index uint64) error {
	term, err := s.Term(index)
	if err != nil {
		return err
	}
	s.base = mark{index, term}
	s.tail.cutHead(index, 0)
	return nil
}

// The kinds of entries, as the log keeps them. They are on disk: a number is never reused.
const (
	kindPayload  = uint8(0)
	kindChangeV1 = uint8(1)
	kindChangeV2 = uint8(2)
)

// toLog appends entries in the form of the log.
func toLog(out []wal.Entry, entries []*pb.Entry) []wal.Entry {
	for _, e := range entries {
		out = append(out, wal.Entry{
			Index: e.GetIndex(), Term: e.GetTerm(), Kind: uint8(e.GetType()), Data: e.Data,
		})
	}
	return out
}

// fromLog is the inverse of toLog. All entries share one slab, as do their numbers.
func fromLog(read []wal.Entry) ([]*pb.Entry, error) {
	slab, numbers := make([]pb.Entry, len(read)), make([]uint64, 2*len(read))
	out := make([]*pb.Entry, len(read))
	for i, r := range read {
		e, n := &slab[i], numbers[2*i:2*i+2]
		n[0], n[1] = r.Index, r.Term
		e.Index, e.Term, e.Data = &n[0], &n[1], r.Data
		switch r.Kind {
		case kindPayload:
		case kindChangeV1, kindChangeV2:
			e.Type = pb.EntryType(r.Kind).Enum()
		default:
			return nil, fmt.Errorf("entry %d is of unknown kind %d", r.Index, r.Kind)
		}
		out[i] = e
	}
	return out, nil
}
