package wire

import "fmt"

// Code is the outcome of a request, as a reply header carries it. Every code but CodeOK is an
// error; match with errors.Is.
type Code int32

// The codes. Those marked local are never sent: client libraries give them to their users.
const (
	CodeOK                        Code = 0
	CodeSystemError               Code = -1 // range marker, not sent
	CodeRuntimeInconsistency      Code = -2 // multi: operations after the one that failed
	CodeDataInconsistency         Code = -3 // not sent
	CodeConnectionLoss            Code = -4 // local
	CodeMarshallingError          Code = -5
	CodeUnimplemented             Code = -6
	CodeOperationTimeout          Code = -7 // local
	CodeBadArguments              Code = -8
	CodeInvalidState              Code = -9 // local
	CodeUnknownSession            Code = -12
	CodeNewConfigNoQuorum         Code = -13
	CodeReconfigInProgress        Code = -14
	CodeAPIError                  Code = -100 // range marker, not sent
	CodeNoNode                    Code = -101
	CodeNoAuth                    Code = -102
	CodeBadVersion                Code = -103
	CodeNoChildrenForEphemerals   Code = -108
	CodeNodeExists                Code = -110
	CodeNotEmpty                  Code = -111
	CodeSessionExpired            Code = -112
	CodeInvalidCallback           Code = -113 // local
	CodeInvalidACL                Code = -114
	CodeAuthFailed                Code = -115
	CodeClosing                   Code = -116 // local
	CodeNothing                   Code = -117 // local
	CodeSessionMoved              Code = -118 // not sent: the server closes the connection instead
	CodeNotReadOnly               Code = -119
	CodeEphemeralOnLocalSession   Code = -120
	CodeNoWatcher                 Code = -121
	CodeRequestTimeout            Code = -122 // local
	CodeReconfigDisabled          Code = -123
	CodeSessionClosedRequiresSASL Code = -124
	CodeQuotaExceeded             Code = -125
	CodeThrottledOp               Code = -127
)

// codes holds one row per code, by descending number.
var codes = [...]struct {
	code       Code
	name, text string
}{
	{CodeOK, "OK", "ok"},
	{CodeSystemError, "SYSTEMERROR", "system error"},
	{CodeRuntimeInconsistency, "RUNTIMEINCONSISTENCY", "not run: an earlier operation failed"},
	{CodeDataInconsistency, "DATAINCONSISTENCY", "data is inconsistent"},
	{CodeConnectionLoss, "CONNECTIONLOSS", "connection lost"},
	{CodeMarshallingError, "MARSHALLINGERROR", "request cannot be decoded"},
	{CodeUnimplemented, "UNIMPLEMENTED", "operation is not implemented"},
	{CodeOperationTimeout, "OPERATIONTIMEOUT", "operation timed out"},
	{CodeBadArguments, "BADARGUMENTS", "arguments are invalid"},
	{CodeInvalidState, "INVALIDSTATE", "client is in the wrong state"},
	{CodeUnknownSession, "UNKNOWNSESSION", "session is unknown"},
	{CodeNewConfigNoQuorum, "NEWCONFIGNOQUORUM", "new configuration has no quorum of synced servers"},
	{CodeReconfigInProgress, "RECONFIGINPROGRESS", "another reconfiguration is in progress"},
	{CodeAPIError, "APIERROR", "request failed"},
	{CodeNoNode, "NONODE", "node does not exist"},
	{CodeNoAuth, "NOAUTH", "permission denied"},
	{CodeBadVersion, "BADVERSION", "version does not match"},
	{CodeNoChildrenForEphemerals, "NOCHILDRENFOREPHEMERALS", "ephemeral node cannot have children"},
	{CodeNodeExists, "NODEEXISTS", "node exists already"},
	{CodeNotEmpty, "NOTEMPTY", "node has children"},
	{CodeSessionExpired, "SESSIONEXPIRED", "session has expired"},
	{CodeInvalidCallback, "INVALIDCALLBACK", "callback is invalid"},
	{CodeInvalidACL, "INVALIDACL", "ACL is invalid"},
	{CodeAuthFailed, "AUTHFAILED", "authentication failed"},
	{CodeClosing, "CLOSING", "client is closing"},
	{CodeNothing, "NOTHING", "nothing to process"},
	{CodeSessionMoved, "SESSIONMOVED", "session has moved to another server"},
	{CodeNotReadOnly, "NOTREADONLY", "server is read-only"},
	{CodeEphemeralOnLocalSession, "EPHEMERALONLOCALSESSION", "local session cannot own ephemeral nodes"},
	{CodeNoWatcher, "NOWATCHER", "no such watch"},
	{CodeRequestTimeout, "REQUESTTIMEOUT", "request timed out"},
	{CodeReconfigDisabled, "RECONFIGDISABLED", "reconfiguration is disabled"},
	{CodeSessionClosedRequiresSASL, "SESSIONCLOSEDREQUIRESASLAUTH", "authentication is required"},
	{CodeQuotaExceeded, "QUOTAEXCEEDED", "quota exceeded"},
	{CodeThrottledOp, "THROTTLEDOP", "request was throttled and not run"},
}

// Codes returns every code, by descending number.
func Codes() []Code {
	all := make([]Code, len(codes))
	for i := range codes {
		all[i] = codes[i].code
	}
	return all
}

// row returns the index of c in codes, or -1.
func (c Code) row() int {
	for i := range codes {
		if codes[i].code == c {
			return i
		}
	}
	return -1
}

// String returns the name that ZooKeeper's own tools and documents use, such as NONODE.
func (c Code) String() string {
	if i := c.row(); i >= 0 {
		return codes[i].name
	}
	return fmt.Sprintf("CODE(%d)", int32(c))
}

// Error says in plain words what c means.
func (c Code) Error() string {
	if i := c.row(); i >= 0 {
		return codes[i].text
	}
	return fmt.Sprintf("error code %d", int32(c))
}

// Err returns nil for CodeOK, else c.
func (c Code) Err() error {
	if c == CodeOK {
		return nil
	}
	return c
}
