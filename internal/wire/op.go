package wire

import (
	"fmt"
	"slices"
)

// Op is the number of an operation in a request header or in a multi.
type Op int32

// The operations. Numbers not listed are not assigned.
const (
	OpCloseSession         Op = -11
	OpCreateSession        Op = -10
	OpError                Op = -1 // a failed operation among the results of a multi; ends a multi
	OpNotification         Op = 0
	OpCreate               Op = 1
	OpDelete               Op = 2
	OpExists               Op = 3
	OpGetData              Op = 4
	OpSetData              Op = 5
	OpGetACL               Op = 6
	OpSetACL               Op = 7
	OpGetChildren          Op = 8
	OpSync                 Op = 9
	OpPing                 Op = 11
	OpGetChildren2         Op = 12
	OpCheck                Op = 13
	OpMulti                Op = 14
	OpCreate2              Op = 15
	OpReconfig             Op = 16
	OpCheckWatches         Op = 17
	OpRemoveWatches        Op = 18
	OpCreateContainer      Op = 19
	OpDeleteContainer      Op = 20
	OpCreateTTL            Op = 21
	OpMultiRead            Op = 22
	OpAuth                 Op = 100
	OpSetWatches           Op = 101
	OpSASL                 Op = 102
	OpGetEphemerals        Op = 103
	OpGetAllChildrenNumber Op = 104
	OpSetWatches2          Op = 105
	OpAddWatch             Op = 106
	OpWhoAmI               Op = 107

	opFirst = OpCloseSession
	opFinal = OpWhoAmI
)

// Class says where an operation is decided.
type Class uint8

// The classes.
const (
	ClassInternal Class = iota // part of other messages or of the server's own making
	ClassRead                  // answered from the view of the server connected to
	ClassWrite                 // replicated, decided when applied
	ClassSession               // concerns the session or the connection
)

func (c Class) String() string {
	return [...]string{"internal", "read", "write", "session"}[c]
}

// OpRow is what there is to know about one operation.
type OpRow struct {
	Op    Op
	Name  string // lower camel case, as in metrics and messages
	Class Class
	Code  string // the name in the `lop` field of the four-letter word cons
	Live  bool   // accepted from clients as a request of its own; all others are refused

	Request  func() Record // a new, empty request record; nil if there is none
	Response func() Record // a new, empty record of a successful reply; nil if there is none
}

// of makes the constructor of record type T.
func of[T any, P interface {
	*T
	Record
}]() Record {
	return P(new(T))
}

// ops holds one row per operation, by number. DeleteContainer and CreateSession have no records
// here because a client that sends them is refused before they are read.
var ops = [...]OpRow{
	{OpCloseSession, "closeSession", ClassSession, "CLOS", true, nil, nil},
	{OpCreateSession, "createSession", ClassInternal, "SESS", false, nil, nil},
	{OpError, "error", ClassInternal, "NA", false, nil, of[ErrorResponse]},
	{OpNotification, "notification", ClassInternal, "NA", false, nil, of[WatcherEvent]},
	{OpCreate, "create", ClassWrite, "CREA", true, of[CreateRequest], of[CreateResponse]},
	{OpDelete, "delete", ClassWrite, "DELE", true, of[DeleteRequest], nil},
	{OpExists, "exists", ClassRead, "EXIS", true, of[ExistsRequest], of[ExistsResponse]},
	{OpGetData, "getData", ClassRead, "GETD", true, of[GetDataRequest], of[GetDataResponse]},
	{OpSetData, "setData", ClassWrite, "SETD", true, of[SetDataRequest], of[SetDataResponse]},
	{OpGetACL, "getACL", ClassRead, "GETA", true, of[GetACLRequest], of[GetACLResponse]},
	{OpSetACL, "setACL", ClassWrite, "SETA", true, of[SetACLRequest], of[SetACLResponse]},
	{OpGetChildren, "getChildren", ClassRead, "GETC", true,
		of[GetChildrenRequest], of[GetChildrenResponse]},
	{OpSync, "sync", ClassSession, "SYNC", true, of[SyncRequest], of[SyncResponse]},
	{OpPing, "ping", ClassSession, "PING", true, nil, nil},
	{OpGetChildren2, "getChildren2", ClassRead, "GETC", true,
		of[GetChildren2Request], of[GetChildren2Response]},
	{OpCheck, "check", ClassWrite, "CHEC", false, of[CheckVersionRequest], nil},
	{OpMulti, "multi", ClassWrite, "MULT", true, of[MultiRequest], of[MultiResponse]},
	{OpCreate2, "create2", ClassWrite, "CREA", true, of[CreateRequest], of[Create2Response]},
	{OpReconfig, "reconfig", ClassWrite, "RECO", true, of[ReconfigRequest], of[GetDataResponse]},
	{OpCheckWatches, "checkWatches", ClassRead, "CHKW", true, of[CheckWatchesRequest], nil},
	{OpRemoveWatches, "removeWatches", ClassSession, "REMW", true, of[RemoveWatchesRequest], nil},
	{OpCreateContainer, "createContainer", ClassWrite, "CREA", true,
		of[CreateRequest], of[Create2Response]},
	{OpDeleteContainer, "deleteContainer", ClassInternal, "DELE", false, nil, nil},
	{OpCreateTTL, "createTTL", ClassWrite, "CREA", true, of[CreateTTLRequest], of[Create2Response]},
	{OpMultiRead, "multiRead", ClassRead, "MLTR", true, of[MultiReadRequest], of[MultiResponse]},
	{OpAuth, "auth", ClassSession, "NA", true, of[AuthRequest], nil},
	{OpSetWatches, "setWatches", ClassSession, "SETW", true, of[SetWatchesRequest], nil},
	{OpSASL, "sasl", ClassSession, "NA", true, of[SASLRequest], of[SASLResponse]},
	{OpGetEphemerals, "getEphemerals", ClassRead, "GETE", true,
		of[GetEphemeralsRequest], of[GetEphemeralsResponse]},
	{OpGetAllChildrenNumber, "getAllChildrenNumber", ClassRead, "GETACN", true,
		of[GetAllChildrenNumberRequest], of[GetAllChildrenNumberResponse]},
	{OpSetWatches2, "setWatches2", ClassSession, "STW2", true, of[SetWatches2Request], nil},
	{OpAddWatch, "addWatch", ClassSession, "ADDW", true, of[AddWatchRequest], of[ErrorResponse]},
	{OpWhoAmI, "whoAmI", ClassRead, "HOMI", true, nil, of[WhoAmIResponse]},
}

// OpCount is the number of rows: Op.Index is below it.
const OpCount = len(ops)

// rowOf maps a number, less opFirst, to one more than the index of its row; 0 means no row.
var rowOf = func() (t [opFinal - opFirst + 1]uint8) {
	for i := range ops {
		t[ops[i].Op-opFirst] = uint8(i + 1)
	}
	return t
}()

// Ops returns a copy of the table, by ascending number.
func Ops() []OpRow { return slices.Clone(ops[:]) }

// Index returns the place of op in Ops, for tables of one's own that run parallel to it, or -1
// for a number that is not assigned.
func (op Op) Index() int {
	if op < opFirst || op > opFinal {
		return -1
	}
	return int(rowOf[op-opFirst]) - 1
}

// Row returns the row of op; ok is false for a number that is not assigned.
func (op Op) Row() (row OpRow, ok bool) {
	i := op.Index()
	if i < 0 {
		return OpRow{}, false
	}
	return ops[i], true
}

// Class returns the class of op; that of a number not assigned is ClassInternal.
func (op Op) Class() Class {
	if i := op.Index(); i >= 0 {
		return ops[i].Class
	}
	return ClassInternal
}

// Live reports whether a client may send op as a request of its own. The answer to any other is
// CodeUnimplemented and the end of the connection.
func (op Op) Live() bool {
	i := op.Index()
	return i >= 0 && ops[i].Live
}

// String returns the name of op, or its number if it is not assigned.
func (op Op) String() string {
	if i := op.Index(); i >= 0 {
		return ops[i].Name
	}
	return fmt.Sprintf("op %d", int32(op))
}
