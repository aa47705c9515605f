package admin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// memberOf returns a source that is one of three.
func memberOf(mode string) *fixed {
	source := example()
	source.stats.Mode = mode
	source.stats.Quorum = &Quorum{Voters: 3, Leader: 2, LeaderHost: "b"}
	if mode == "leader" {
		q := source.stats.Quorum
		q.Leading, q.SyncedFollowers, q.SyncedObservers, q.Learners, q.LeaderUptimeMs = true, 2, 1, 4, 77
	}
	source.settings.Member = &Member{
		QuorumPort: 2888, ElectionPort: 3888, InitLimit: 10, SyncLimit: 5,
		Table: "server.1=a:2888:3888:participant;0.0.0.0:2181\nversion=0",
	}
	return source
}

// The words that say which part a server has in its quorum.
func TestAMemberOfAQuorumSaysWhatItIs(t *testing.T) {
	for mode, want := range map[string][]string{
		"leader": {"zk_quorum_size\t3\n", "zk_synced_followers\t2\n", "zk_synced_observers\t1\n", "zk_learners\t4\n",
			"zk_leader_uptime\t77\n", "zk_server_state\tleader\n"},
		"follower": {"zk_quorum_size\t3\n", "zk_server_state\tfollower\n"},
		"observer": {"zk_quorum_size\t3\n", "zk_server_state\tobserver\n"},
	} {
		source := memberOf(mode)
		got := ask(t, "mntr", source)
		for _, line := range want {
			if !strings.Contains(got, line) {
				t.Errorf("mntr of a %s does not have %q:\n%s", mode, line, got)
			}
		}
		if mode != "leader" && strings.Contains(got, "synced_followers") {
			t.Errorf("mntr of a %s counts followers", mode)
		}
		if got := ask(t, "srvr", source); !strings.Contains(got, "\nMode: "+mode+"\n") {
			t.Errorf("srvr of a %s:\n%s", mode, got)
		}
	}
	if got := ask(t, "mntr", example()); strings.Contains(got, "quorum_size") {
		t.Error("mntr of a server that is alone counts members")
	}
}

func TestConfShowsTheMembership(t *testing.T) {
	source := memberOf("follower")
	want := `initLimit=10
syncLimit=5
electionAlg=3
electionPort=3888
quorumPort=2888
peerType=0
membership: 
server.1=a:2888:3888:participant;0.0.0.0:2181
version=0`
	if got := ask(t, "conf", source); !strings.HasSuffix(got, want) {
		t.Errorf("conf ends otherwise:\n%s", got)
	}
	source.settings.Member.Observer = true
	if got := ask(t, "conf", source); !strings.Contains(got, "\npeerType=1\n") {
		t.Errorf("conf of an observer:\n%s", got)
	}
}

func TestWhoLeadsIsOnAPage(t *testing.T) {
	for mode, want := range map[string]string{
		"leader": `"is_leader":true,"leader_id":2,"leader_ip":"b"`, "follower": `"is_leader":false,"leader_id":2`,
	} {
		r := httptest.NewRequest(http.MethodGet, "/commands/lead", nil)
		r.SetPathValue("name", "lead")
		w := httptest.NewRecorder()
		servePage(memberOf(mode), w, r)
		if got := strings.Join(strings.Fields(w.Body.String()), ""); !strings.Contains(got, want) {
			t.Errorf("%s: %s", mode, got)
		}
	}
}

func TestMetricsOfALeader(t *testing.T) {
	for mode, leading := range map[string]bool{"leader": true, "follower": false} {
		w := httptest.NewRecorder()
		metrics(memberOf(mode)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		got := w.Body.String()
		if !strings.Contains(got, "\nquorum_size 3\n") || strings.Contains(got, "\nsynced_followers 2\n") != leading {
			t.Errorf("%s:\n%s", mode, got)
		}
	}
}

// The clients of a read-only server ask others for isro, and so does an operator, whatever the whitelist.
func TestIsroNeedsNoWhitelistWhileReadOnly(t *testing.T) {
	source := example()
	source.settings.FourLetterWords = []string{"srvr"}
	if got := ask(t, "isro", source); !strings.Contains(got, "whitelist") {
		t.Errorf("isro = %q", got)
	}
	source.stats.ReadOnly = true
	if got := ask(t, "isro", source); got != "ro" {
		t.Errorf("isro = %q", got)
	}
}
