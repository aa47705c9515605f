package sim

import (
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// encodeMessage and decodeMessage are what a message of Raft goes through on its way.
func encodeMessage(m *pb.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

func decodeMessage(b []byte) *pb.Message {
	m := &pb.Message{}
	if err := proto.Unmarshal(b, m); err != nil {
		panic(err)
	}
	return m
}
