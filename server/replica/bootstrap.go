package replica

import (
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// BootstrapWith is Bootstrap of a cluster that has learners too from the beginning.
func BootstrapWith(voters, learners []uint64) Start {
	conf, err := proto.Marshal(&pb.ConfState{Voters: voters, Learners: learners})
	if err != nil {
		panic(err) // lists of numbers always marshal
	}
	return Start{Index: 1, Term: 1, ConfState: conf}
}
