package member

import "fmt"

// Answer is what a server says of itself to one that is still empty, and what an empty one says when
// it asks. Its bytes are Append and DecodeAnswer.
type Answer struct {
	Node             Node
	Cluster          uint64 // 0: not founded; the rest says what it was configured with and has heard
	Table            uint64 // Table.Hash of the peers it was given
	Peers            string // the lines behind Table, so that a difference can be named
	Sees             uint64 // as Verdict.Sees: the cluster it would found with what it has heard; 0: not all
	Voters, Learners []Node // of a founded one; ascending
}

// Kind says what an empty server does next.
type Kind uint8

// The verdicts.
const (
	Wait      Kind = iota // ask all again, with Sees taken over
	Bootstrap             // be founded, now: with Cluster, Voters and Learners
	Join                  // ask Cluster to be let in, or, if Known, begin as the member one already is
	Refuse                // stop, with Err
)

// Verdict is what an empty server knows after a round of answers.
type Verdict struct {
	Kind             Kind
	Missing          []ID   // Wait: who has not answered
	Unsure           []ID   // Wait: who has answered, and sees other servers than this one does
	Sees             uint64 // Wait: what to say in the next round, asking and answering
	Cluster          uint64 // Bootstrap and Join
	Voters, Learners []Node // Bootstrap: the membership to begin with. Join: as one member has it
	Known            bool   // Join: this node is among Voters or Learners
	Err              error  // Refuse
}

// Found is the decision of an empty server after a round in which it asked all peers of its table.
func Found(mine Answer, table Table, answers map[ID]Answer) Verdict {
	return Verdict{Kind: Refuse, Err: fmt.Errorf("not written yet")}
}

// Candidate is what a server says that wants to be let in. Its bytes are Append and DecodeCandidate.
type Candidate struct {
	Node   Node
	Member Member
}
