package bug

// The bugs, by where they are planted.
const (
	// server/wal
	AckBeforeFlush    Name = "ack-before-flush"    // a batch is durable before it is flushed
	VoteNotFlushed    Name = "vote-not-flushed"    // a vote alone is not worth a flush
	FlushErrorIgnored Name = "flush-error-ignored" // a failed flush does not break the log
	TornTailKept      Name = "torn-tail-kept"      // what lies behind a torn tail is not cleared
	SegmentNotNamed   Name = "segment-not-named"   // a new segment's name is not flushed
	WatermarkIgnored  Name = "watermark-ignored"   // a log that ends before its watermark is taken as it is
	ResetForgetsHard  Name = "reset-forgets-hard"  // a log begun anew forgets term and vote

	// server/replica
	AckBeforeWrite   Name = "ack-before-write"   // the answer to an append or a vote leaves before the log has it
	ReadUnconfirmed  Name = "read-unconfirmed"   // ReadIndex is answered without asking a quorum
	HeldOutlivesTerm Name = "held-outlives-term" // what is held is proposed in a later term
	ReadMarkReused   Name = "read-mark-reused"   // rounds of reads cannot be told apart
	OldMembership    Name = "old-membership"     // an image comes with a membership from before it
	LogBeforeImage   Name = "log-before-image"   // the log begins anew before the image is installed

	ReadyEarly Name = "ready-early" // clients are let in before what was agreed is applied

	// server/peer
	FrameUnchecked Name = "frame-unchecked" // the checksum of a frame is not looked at

	// server/feed
	ListNotAsked   Name = "list-not-asked"   // events go to those who may not read the node
	SwapBeforeFire Name = "swap-before-fire" // the view is swapped before the watches fire
	ResendFromEnd  Name = "resend-from-end"  // after a change of leader what was sent is not sent again
	ResendShuffled Name = "resend-shuffled"  // a load is sent in the wrong order
	SyncLocal      Name = "sync-local"       // a sync is answered by what is applied here
	InstallSilent  Name = "install-silent"   // no watch fires for an installed image
	InstallForgets Name = "install-forgets"  // commands that an image contains stay pending
	BarrierEarly   Name = "barrier-early"    // a sync does not wait for its index
	MovedStays     Name = "moved-stays"      // a connection whose session has moved goes on

	// server/front
	DroppedIgnored Name = "dropped-ignored" // reads are answered though events before them were dropped

	// server/state
	EpochUnchecked   Name = "epoch-unchecked"     // a superseded connection may still write
	OriginForgotten  Name = "origin-forgotten"    // repeats of a command are applied
	GapAccepted      Name = "gap-accepted"        // a command may overtake an earlier one of its server
	MultiHalf        Name = "multi-half"          // a multi that fails keeps what held
	EphemeralStays   Name = "ephemeral-stays"     // an ephemeral outlives its session
	SessionReopened  Name = "session-reopened"    // an expired session can be attached again
	OriginNotInImage Name = "origin-not-in-image" // a restored state has forgotten the origins

	PasswordUnchecked Name = "password-unchecked" // any password attaches a session

	// znode, watch
	SequenceByCount Name = "sequence-by-count" // the next sequential name is the number of children
	PzxidKept       Name = "pzxid-kept"        // a deletion leaves the parent's pzxid as it was
	FiresTwice      Name = "fires-twice"       // a one-shot watch is not spent
	ChildrenNotTold Name = "children-not-told" // a deletion is not told to who watches the parent's children
	MissedInclusive Name = "missed-inclusive"  // a change at the zxid the client has seen is taken for missed

	// server/reaper
	NoGrace      Name = "no-grace"      // a new leader grants no time
	TouchIgnored Name = "touch-ignored" // signs of life are not taken in
	PauseCounts  Name = "pause-counts"  // the time that a stopped process did not see counts
)
