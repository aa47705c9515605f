package znode

import (
	"fmt"
	"strings"
	"testing"
)

// The orders are what a set of org.apache.zookeeper.data.Id printed in Java 17.
func TestAuthExpandsInTheOrderOfZooKeeper(t *testing.T) {
	for n, want := range map[int]string{
		4:  "3 2 1 0",
		11: "3 7 4 6 1 9 8 0 10 5 2",
		20: "3 7 13 4 6 16 1 9 19 11 8 0 10 5 2 14 12 18 17 15",
	} {
		ids := []Identity{{Scheme: "ip", ID: "127.0.0.1"}}
		number := map[string]string{}
		for i := range n {
			id := []string{"u", "ü", "😀"}[i%3] + fmt.Sprint(i) + ":x"
			ids, number[id] = append(ids, Identity{Scheme: "digest", ID: id}), fmt.Sprint(i)
		}
		list, err := FixUp([]ACE{{Perms: PermAll, Scheme: "auth"}}, ids)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range list.Entries() {
			got = append(got, number[e.ID])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%d identities expand to %v, want %s", n, got, want)
		}
	}
}
