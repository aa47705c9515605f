package member

import "errors"

// Why a change of the membership is refused or ended. The first five are what a client is told; the
// number behind each is the code of ZooKeeper's protocol.
var (
	ErrBadArguments = errors.New("bad arguments")                      // -8
	ErrUnreadable   = errors.New("request cannot be read")             // -5
	ErrVersion      = errors.New("the membership has another version") // -103
	ErrInProgress   = errors.New("a change is in progress")            // -14
	ErrNoQuorum     = errors.New("no quorum of the new membership")    // -13

	ErrNotLeading = errors.New("this server does not lead")             // nothing that matters was changed
	ErrUndecided  = errors.New("leadership was lost during the change") // the table will tell
	ErrAbandoned  = errors.New("the change was abandoned")              // and undone
)

// Why a server neither founds a quorum nor joins one.
var (
	ErrNotListed   = errors.New("this server is not among its own peers")
	ErrTables      = errors.New("servers are given different peers")
	ErrTwoClusters = errors.New("peers belong to different clusters")
	ErrWrongServer = errors.New("a server answers under another number")
)
