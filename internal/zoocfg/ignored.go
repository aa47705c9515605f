package zoocfg

import "strings"

// Why a key that ZooKeeper knows has no effect here.
const (
	raft      = "elections and peers are Raft's business"
	oneServer = "has no meaning for a single server"
	tidy      = "old files are removed without being asked"
	storage   = "data is stored in another way"
	threads   = "there are no such threads, pools or queues"
	throttle  = "requests are held back for each connection by itself"
	batches   = "batches form without waiting"
	java      = "there is no Java here"
	always    = "always on"
	never     = "not offered"
	metrics   = "metrics are at /metrics of the admin address"
	plainOnly = "the admin address speaks plain HTTP"
	reload    = "files that changed are read again, always"
	dialled   = "who connects checks the name: the clients do"
	backwards = "names are never looked up backwards"
	own       = "one limit holds for all handshakes"
	sasl      = "SASL is not offered"
	schemes   = "the schemes are world, auth, digest, ip and x509"
	strangers = "sessions without credentials are accepted"
	digests   = "digest is always offered, with SHA1"
	checks    = "permissions are checked in log order, once"
)

// ignoredKeys holds the keys without effect. One that ends in a star stands for all that begin
// with the rest. The first match counts, so exceptions stand before their family.
var ignoredKeys = [...]struct {
	key    string
	why    string
	weaker bool // the key asks for protection that is not given
}{
	{"DigestAuthenticationProvider.*", digests, true},
	{"IPAuthenticationProvider.*", never, false},
	{"SASLAuthenticationProvider.*", sasl, true},
	{"admin.commandURL", "always /commands", false},
	{"admin.forceHttps", plainOnly, true},
	{"admin.needClientAuth", plainOnly, true},
	{"admin.portUnification", plainOnly, true},
	{"admin.*", never, false},
	{"allowSaslFailedClients", sasl, false},
	{"audit.*", never, false},
	{"autopurge.*", tidy, false},
	{"bitHashCacheSize", threads, false},
	{"client.certReload", reload, false},
	{"clientPortListenBacklog", "the limit is the kernel's", false},
	{"clientTcpKeepAlive", always, false},
	{"closeSessionTxn.enabled", always, false},
	{"cnxTimeout", raft, false},
	{"commitLogCount", storage, false},
	{"commitProcessor.*", threads, false},
	{"connectToLearnerMasterLimit", raft, false},
	{"connectionMaxTokens", throttle, false},
	{"connectionToken*", throttle, false},
	{"connectionFreezeTime", throttle, false},
	{"connection_throttle_*", throttle, false},
	{"dataLogDir", "log and checkpoint are both kept under dataDir", false},
	{"datadir.autocreate", always, false},
	{"db.autocreate", "an empty directory is a new server", false},
	{"digest.enabled", always, false},
	{"electionAlg", raft, false},
	{"electionPort*", raft, false},
	{"emulate353TTLNodes", never, false},
	{"enableEagerACLCheck", checks, false},
	{"enforce.auth.*", strangers, true},
	{"ensembleAuthName", schemes, true},
	{"extendedTypesEnabled", always, false},
	{"fastleader.*", raft, false},
	{"fips-mode", java, false},
	{"flushDelay", batches, false},
	{"follower.*", raft, false},
	{"forceSnapshotSync", raft, false},
	{"forceSync", always, false},
	{"fsync.warningthresholdms", never, false},
	{"group.*", oneServer, false},
	{"initLimit", raft, false},
	{"intBufferStartingSizeBytes", threads, false},
	{"jmx.*", java, false},
	{"jvm.*", java, false},
	{"kerberos.*", sasl, false},
	{"kinit", sasl, false},
	{"largeRequest*", throttle, false},
	{"leader.*", raft, false},
	{"leaderConnectDelayDuringRetryMs", raft, false},
	{"leaderServes", raft, false},
	{"learner.*", raft, false},
	{"letAnySaslUserDoX", sasl, false},
	{"localSessions*", "every session is global", false},
	{"maxBatchSize", batches, false},
	{"maxGetChildrenResponseCacheSize", threads, false},
	{"maxInProcessingDeadWatchers", threads, false},
	{"maxResponseCacheSize", threads, false},
	{"maxWriteQueuePollTime", batches, false},
	{"messageTracker.*", never, false},
	{"metricsProvider.*", metrics, false},
	{"multiAddress.*", raft, false},
	{"netty.*", threads, false},
	{"nio.*", threads, false},
	{"observer.*", raft, false},
	{"observerMaster*", oneServer, false},
	{"oraclePath", oneServer, false},
	{"pathStats.*", never, false},
	{"peerType", oneServer, false},
	{"portUnification", "servers among each other speak TLS or do not", false},
	{"preAllocSize", storage, false},
	{"quorum.auth.*", sasl, true},
	{"quorum.cnxn.threads.size", raft, false},
	{"quorumCnxnTimeoutMs", raft, false},
	{"quorumListenOnAllIPs", oneServer, false},
	{"readonlymode.enabled", oneServer, false},
	{"reconfigEnabled", oneServer, false},
	{"requestThrottle*", throttle, false},
	{"request_*", throttle, false},
	{"requireClientAuthScheme", sasl, true},
	{"requireKerberosConfig", sasl, true},
	{"sasl.*", sasl, false},
	{"security.*", sasl, false},
	{"serializeLastProcessedZxid.enabled", always, false},
	{"server.principal", sasl, false},
	{"server.realm", sasl, false},
	{"serverCnxnFactory", java, false},
	{"sessionRequireClientSASLAuth", sasl, true},
	{"snapSizeLimitInKb", storage, false},
	{"snapshot*", storage, false},
	{"ssl.allowReverseDnsLookup", backwards, false},
	{"ssl.handshakeDetectionTimeoutMillis", own, false},
	{"ssl.hostnameVerification", dialled, false},
	{"ssl.quorum.allowReverseDnsLookup", backwards, false},
	{"ssl.quorum.clientAuth", "servers always show each other certificates", false},
	{"ssl.quorum.clientHostnameVerification", always, false},
	{"ssl.quorum.handshakeDetectionTimeoutMillis", own, false},
	{"ssl.quorum.sslProvider", java, false},
	{"ssl.sslProvider", java, false},
	{"sslQuorumReloadCertFiles", reload, false},
	{"standaloneEnabled", oneServer, false},
	{"superUser*", sasl, false},
	{"syncEnabled", oneServer, false},
	{"syncLimit", raft, false},
	{"tcpKeepAlive", raft, false},
	{"throttled_op_wait_time", throttle, false},
	{"txnLogSizeLimitInKb", storage, false},
	{"version", "of a dynamic configuration; the log counts here", false},
	{"watchManagerName", "one table keeps watches of every kind", false},
	{"watcherClean*", threads, false},
	{"weight.*", oneServer, false},
}

func ignoredFor(key string) (why string, weaker, ok bool) {
	for _, row := range ignoredKeys {
		family, many := strings.CutSuffix(row.key, "*")
		if key == row.key || many && strings.HasPrefix(key, family) {
			return row.why, row.weaker, true
		}
	}
	return "", false, false
}
