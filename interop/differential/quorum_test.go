package differential

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grovekeeper/grove/interop/process"
)

const trios = 3 // of three servers each, and as many of the reference

// TestSameAnswersOfThreeServers spreads the sessions of every script over three servers, which are compared
// with three of Apache ZooKeeper.
func TestSameAnswersOfThreeServers(t *testing.T) {
	need(t)
	compare(t, number(t, "GROVE_SCRIPTS", 300), trios, startTrio)
}

func startTrio(t *testing.T, grove string) *pair {
	t.Helper()
	dir := scratch(t)
	classpath, err := process.ApacheClasspath(os.Getenv, filepath.Dir(debian))
	if err != nil {
		t.Fatal(err)
	}
	reference, err := process.NewApache(classpath, filepath.Join(dir, "zookeeper"), 3)
	if err != nil {
		t.Fatal(err)
	}
	reference.Settings = []string{"extendedTypesEnabled=true"}
	reference.Java = []string{"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"} // several on few cores
	t.Cleanup(func() {
		if err := reference.Kill(); err != nil {
			t.Error(err)
		}
	})
	if err := reference.Start(); err != nil {
		t.Fatal(err)
	}
	under, err := process.NewCluster(grove, filepath.Join(dir, "grove"), process.Local(3))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := under.Stop(); err != nil {
			t.Errorf("the servers did not end well: %v", err)
		}
	})
	if err := under.Start(); err != nil {
		t.Fatal(err)
	}
	return &pair{reference: strings.Join(reference.Addrs(), ","), under: strings.Join(under.Addrs(), ","), several: true}
}
