package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/grovekeeper/grove/internal/wire"
)

// workload is a directory of nodes and the requests made of it. The requests are those of zkload, in
// the same order.
type workload struct {
	root string
	keys []string // the nodes below root that are read and written
	data []byte
}

func newWorkload(root string, keys, size int) workload {
	w := workload{root: root, keys: make([]string, keys), data: make([]byte, size)}
	for i := range w.keys {
		w.keys[i] = fmt.Sprintf("%s/k%07d", root, i)
	}
	return w
}

// phase is one row of the load section.
type phase struct {
	name   string
	single bool // one connection with one request at a time, else all of them at full depth
	each   func(conn int) requests
}

// phases lists the load in the order in which it is applied.
func (w workload) phases() []phase {
	return []phase{
		{"create", false, w.creates},
		{"set", false, w.sets},
		{"get", false, w.gets},
		{"mixed", false, w.mixed},
		{"set1", true, w.sets},
		{"get1", true, w.gets},
	}
}

// key strides through the keys, each connection from a place of its own.
func (w workload) key(conn, i int) string { return w.keys[(conn*7919+i*31)%len(w.keys)] }

func open() []wire.ACL { return []wire.ACL{{Perms: 31, Scheme: "world", ID: "anyone"}} }

func (w workload) creates(conn int) requests {
	r := &wire.CreateRequest{Data: w.data, ACL: open()}
	prefix := w.root + "/c" + strconv.Itoa(conn) + "-"
	return func(i int) (wire.Op, wire.Record, bool) {
		r.Path = prefix + strconv.Itoa(i)
		return wire.OpCreate, r, true
	}
}

func (w workload) sets(conn int) requests {
	r := &wire.SetDataRequest{Data: w.data, Version: -1}
	return func(i int) (wire.Op, wire.Record, bool) {
		r.Path = w.key(conn, i)
		return wire.OpSetData, r, true
	}
}

func (w workload) gets(conn int) requests {
	r := &wire.GetDataRequest{}
	return func(i int) (wire.Op, wire.Record, bool) {
		r.Path = w.key(conn, i)
		return wire.OpGetData, r, true
	}
}

// mixed is nine reads and one write.
func (w workload) mixed(conn int) requests {
	get, set := w.gets(conn), w.sets(conn)
	return func(i int) (wire.Op, wire.Record, bool) {
		if i%10 == 0 {
			return set(i)
		}
		return get(i)
	}
}

// scattered sets keys at random: strides through a large directory would favour whoever stores
// neighbours together.
func (w workload) scattered(conn int) requests {
	r := &wire.SetDataRequest{Data: w.data, Version: -1}
	dice := rand.New(rand.NewPCG(1, uint64(conn)))
	return func(int) (wire.Op, wire.Record, bool) {
		r.Path = w.keys[dice.IntN(len(w.keys))]
		return wire.OpSetData, r, true
	}
}

// filling creates every key once, spread over conns connections.
func (w workload) filling(conns int) func(conn int) requests {
	return func(conn int) requests {
		r := &wire.CreateRequest{Data: w.data, ACL: open()}
		return func(i int) (wire.Op, wire.Record, bool) {
			at := i*conns + conn
			if at >= len(w.keys) {
				return 0, nil, false
			}
			r.Path = w.keys[at]
			return wire.OpCreate, r, true
		}
	}
}

// fillMax bounds the time a fill may take.
const fillMax = 15 * time.Minute

// fill makes the directory and its nodes, and looks whether the data of the last one is there.
func (w workload) fill(ctx context.Context, addr string, conns, depth int) (outcome, error) {
	root := &wire.CreateRequest{Path: w.root, ACL: open()}
	if err := once(ctx, addr, wire.OpCreate, root, nil); err != nil {
		return outcome{}, err
	}
	o, err := drive(ctx, addr, load{conns: conns, depth: depth, dur: fillMax, each: w.filling(conns)})
	if err == nil && o.ops < len(w.keys) {
		err = errors.New("it takes too long")
	}
	if err != nil {
		return outcome{}, fmt.Errorf("fill %s: %w", w.root, err)
	}
	var answer wire.GetDataResponse
	last := &wire.GetDataRequest{Path: w.keys[len(w.keys)-1]}
	if err := once(ctx, addr, wire.OpGetData, last, &answer); err != nil {
		return outcome{}, err
	}
	if len(answer.Data) != len(w.data) {
		return outcome{}, fmt.Errorf("a node of %d bytes is read as %d", len(w.data), len(answer.Data))
	}
	for a := range strings.SplitSeq(addr, ",") { // of several servers, all must have it
		if err := once(ctx, a, wire.OpSync, &wire.SyncRequest{Path: w.root}, nil); err != nil {
			return outcome{}, err
		}
	}
	return o, nil
}

// count asks how many nodes the directory has.
func (w workload) count(ctx context.Context, addr string) (int, error) {
	var answer wire.StatResponse
	err := once(ctx, addr, wire.OpExists, &wire.ExistsRequest{Path: w.root}, &answer)
	return int(answer.Stat.NumChildren), err
}

// once makes one request in a session of its own.
func once(ctx context.Context, addr string, op wire.Op, body, answer wire.Record) error {
	c, err := dial(ctx, nth(addr, 0), patience)
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	return c.do(op, body, answer)
}
