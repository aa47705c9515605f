package peer

import pb "go.etcd.io/raft/v3/raftpb"

// Carry returns m as the other end of a connection would get it: put into a frame and taken out again.
// It is how a simulation that has no connections still sends nothing that a real one would not.
func Carry(m *pb.Message) (*pb.Message, error) {
	if laneOf(m.GetType()) == laneImage {
		body, err := appendImage(nil, m)
		if err != nil {
			return nil, err
		}
		return decodeImage(body, m.GetFrom(), m.GetTo())
	}
	body := appendMessages(nil, []*pb.Message{m})
	out, err := decodeMessages(nil, kindHeavy, body, m.GetFrom(), m.GetTo())
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// CarryCommands does the same to commands for who leads.
func CarryCommands(term uint64, commands [][]byte) (uint64, [][]byte, error) {
	return decodeCommands(appendCommands(nil, term, commands))
}
