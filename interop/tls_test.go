package interop

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grovekeeper/grove/interop/process"
)

// made is where a file that server/trust made with openssl and keytool is.
func made(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../server/trust/testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// openTLS starts a server that ends with the test.
func openTLS(t *testing.T, flags ...string) *process.Server {
	t.Helper()
	if testing.Short() {
		t.Skip("starts servers and foreign clients: not with -short")
	}
	dir := t.TempDir()
	binary, err := process.Build(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &process.Server{Binary: binary, Dir: filepath.Join(dir, "data"), Flags: flags}
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if log, err := os.ReadFile(s.Dir + ".log"); err == nil && t.Failed() {
			t.Logf("server:\n%s", log)
		}
	})
	return s
}

// TestKazooOverTLS has plain and TLS on one port, and a node that belongs to a certificate.
func TestKazooOverTLS(t *testing.T) {
	c := client{needs: []need{asked, python("kazoo", "python3-kazoo")}}
	if lacks := c.lacks(); lacks != "" {
		t.Skip(lacks)
	}
	s := openTLS(t, "--tls-cert", made(t, "both.pem"), "--tls-ca", made(t, "ca.pem"),
		"--tls-client-auth", "want", "--tls-port-unification")
	answer := run(t, exec.Command(python3, "-u", "testdata/kazoo_tls.py", s.Addr, made(t, "ca.pem"), made(t, "both.pem")))
	if !strings.Contains(answer, "done") {
		t.Errorf("kazoo said:\n%s", answer)
	}
}

// TestZkCliOverTLS has a zoo.cfg with stores of keytool's, and Apache ZooKeeper's own shell.
func TestZkCliOverTLS(t *testing.T) {
	c := client{needs: []need{asked, file(zkCli, "zookeeper"), command("java", "default-jre-headless"), jar("netty-handler", "libnetty-java")}}
	if lacks := c.lacks(); lacks != "" {
		t.Skip(lacks)
	}
	port := freePort(t)
	config := filepath.Join(t.TempDir(), "zoo.cfg")
	text := fmt.Sprintf(`tickTime=2000
dataDir=/var/lib/zookeeper
serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory
authProvider.x509=org.apache.zookeeper.server.auth.X509AuthenticationProvider
secureClientPort=%d
secureClientPortAddress=127.0.0.1
ssl.keyStore.location=%s
ssl.keyStore.password=changeit
ssl.trustStore.location=%s
ssl.trustStore.password=changeit
`, port, made(t, "key.jks"), made(t, "trust.jks"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	openTLS(t, "--config", config)
	secured := strings.Join(append(slices.Clone(thrifty), "-cp", withNetty(),
		"-Dzookeeper.client.secure=true", "-Dzookeeper.clientCnxnSocket=org.apache.zookeeper.ClientCnxnSocketNetty",
		"-Dzookeeper.ssl.keyStore.location="+made(t, "key12.jks"), "-Dzookeeper.ssl.keyStore.password=changeit",
		"-Dzookeeper.ssl.trustStore.location="+made(t, "ca.pem")), " ")
	shell := func(words ...string) string {
		cmd := exec.Command(zkCli, append([]string{"-waitforconnection", "-server", fmt.Sprintf("127.0.0.1:%d", port)}, words...)...)
		cmd.Env = append(os.Environ(), "CLIENT_JVMFLAGS="+secured)
		return run(t, cmd)
	}
	if said := shell("create", "/mine", "over-TLS", "auth::cdrwa"); !strings.Contains(said, "Created /mine") {
		t.Errorf("create said:\n%s", said)
	}
	if said := shell("get", "/mine"); !strings.Contains(said, "over-TLS") {
		t.Errorf("get said:\n%s", said)
	}
	if said := shell("getAcl", "/mine"); !strings.Contains(said, "'x509,'CN=server%2CO=Grove") {
		t.Errorf("getAcl said:\n%s", said)
	}
}

// withNetty is a class path with what the client needs for TLS: Debian's own leaves it out.
func withNetty() string {
	path := []string{jars + "zookeeper.jar"}
	for name := range strings.FieldsSeq("resolver handler transport buffer common codec transport-native-epoll transport-native-unix-common") {
		path = append(path, jars+"netty-"+name+".jar")
	}
	return strings.Join(path, string(filepath.ListSeparator))
}

// run returns what a command says, whichever way it ends; it is ended if it takes too long.
func run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	late := time.AfterFunc(clientMax, func() { cmd.Process.Kill() })
	defer late.Stop()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("%v: %v", cmd, err)
	}
	return string(out)
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
