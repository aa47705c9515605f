package trust

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestNewFilesAreForNewConnections(t *testing.T) {
	before, after := newAuthority(t, "before"), newAuthority(t, "after")
	text, _ := before.issue("ada", time.Now().Add(time.Hour))
	f := Files{Cert: before.file("server"), CA: before.ca()}
	s := mustSource(t, f)
	e := newEcho(t, ListenConfig{Source: s})
	client := before.client(text)
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	old, err := e.dial(client)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := say(old, "\x00before"); err != nil { // takes the session ticket in, too
		t.Fatal(err)
	}

	replace(t, f.CA, encode("CERTIFICATE", after.cert.Raw))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := say(old, "\x00still"); err != nil {
		t.Errorf("the old connection: %v", err)
	}
	if e.call(client) == nil {
		t.Error("a client of the old CA is let in, perhaps by its ticket")
	}
}

// replace swaps a file whole, as whoever delivers certificates should.
func replace(t testing.TB, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestBrokenFilesChangeNothingAndAreSaidOnce(t *testing.T) {
	a := newAuthority(t, "ca")
	text, _ := a.issue("server", time.Now().Add(time.Hour))
	path := a.write("server.pem", text)
	log := &journal{}
	s, err := New(Files{Cert: path}, log.logger())
	if err != nil {
		t.Fatal(err)
	}
	first := s.Leaf()
	replace(t, path, text[:len(text)/2])
	for range 3 {
		s.poll()
	}
	if !s.Leaf().Equal(first) || log.count("TLS files not taken") != 1 {
		t.Errorf("said %d times", log.count("TLS files not taken"))
	}
	next, cert := a.issue("server2", time.Now().Add(time.Hour))
	replace(t, path, next)
	s.poll()
	if !s.Leaf().Equal(cert) {
		t.Error("the good file was not taken after the broken one")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s.poll()
	if !s.Leaf().Equal(cert) {
		t.Error("a missing file took the certificate away")
	}
}

func TestFilesAreLookedAtEveryTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t, "ca")
		path := a.file("server")
		s := mustSource(t, Files{Cert: path})
		go s.Run(t.Context())
		text, cert := a.issue("server2", time.Now().Add(time.Hour))
		replace(t, path, text)
		time.Sleep(pollEvery + time.Second)
		synctest.Wait()
		if !s.Leaf().Equal(cert) {
			t.Error("the new file was not seen")
		}
	})
}

func TestEndsAreAnnounced(t *testing.T) {
	a := newAuthority(t, "ca")
	for until, want := range map[time.Duration]string{
		-time.Hour: "has expired", time.Hour: "ends soon", 100 * 24 * time.Hour: "level=INFO msg=\"TLS files taken\"",
	} {
		text, _ := a.issue("server", time.Now().Add(until))
		log := &journal{}
		if _, err := New(Files{Cert: a.write("s.pem", text)}, log.logger()); err != nil {
			t.Fatal(err)
		}
		if log.count(want) != 1 {
			t.Errorf("until %v: no %q in %s", until, want, log.b.String())
		}
	}
}

func TestAKeyThatEverybodyMayReadIsSaid(t *testing.T) {
	a := newAuthority(t, "ca")
	path := a.file("server")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	log := &journal{}
	if _, err := New(Files{Cert: path}, log.logger()); err != nil || log.count("may read a private key") != 1 {
		t.Error(err, log.b.String())
	}
}

func TestServersJudgeEachOther(t *testing.T) {
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	f := Files{Cert: ours.file("one"), CA: ours.ca()}
	e := newEcho(t, ListenConfig{Source: mustSource(t, f)})
	anyHost := f
	anyHost.AnyHost = true
	strangers := anyHost
	strangers.CA = theirs.ca()
	for _, test := range []struct {
		name  string
		files Files
		host  string
		in    bool
	}{
		{"its own host", f, "localhost", true},
		{"its own address", f, "127.0.0.1", true},
		{"another host", f, "example.org", false},
		{"any host", anyHost, "example.org", true},
		{"any host of another CA", strangers, "example.org", false},
		{"a server of another CA", Files{Cert: theirs.file("two"), CA: theirs.ca()}, "localhost", false},
	} {
		cfg := mustSource(t, test.files).ClientConfig()
		cfg.ServerName = test.host
		if err := e.call(cfg); (err == nil) != test.in {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestAServerThatTheCATookBackIsNotBelieved(t *testing.T) {
	a := newAuthority(t, "ca")
	text, cert := a.issue("one", time.Now().Add(time.Hour))
	e := newEcho(t, ListenConfig{Source: mustSource(t, Files{Cert: a.write("one.pem", text)})})
	for _, anyHost := range []bool{false, true} {
		f := Files{Cert: a.file("two"), CA: a.ca(), CRL: a.revoke(time.Now().Add(time.Hour), cert), AnyHost: anyHost}
		cfg := mustSource(t, f).ClientConfig()
		cfg.ServerName = "localhost"
		if e.call(cfg) == nil {
			t.Error("is believed")
		}
	}
}

// Files change again and again, at times to something broken, while clients come and stay.
func TestReloadUnderLoad(t *testing.T) {
	a := newAuthority(t, "ca")
	path := a.file("server")
	s := mustSource(t, Files{Cert: path, CA: a.ca()})
	e := newEcho(t, ListenConfig{Source: s, Plain: true})
	text, _ := a.issue("ada", time.Now().Add(time.Hour))

	var stop atomic.Bool
	var calls, failed atomic.Int64
	var clients sync.WaitGroup
	stay, err := e.dial(a.client(text))
	if err != nil {
		t.Fatal(err)
	}
	defer stay.Close()
	for range 4 {
		clients.Go(func() {
			cfg := a.client(text)
			cfg.ClientSessionCache = tls.NewLRUClientSessionCache(4)
			for !stop.Load() {
				if err := e.call(cfg); err != nil {
					failed.Add(1)
					t.Error(err)
				}
				calls.Add(1)
				<-e.ids
			}
		})
	}
	var last *x509.Certificate
	for i := range 40 {
		var next []byte
		next, last = a.issue("server", time.Now().Add(time.Hour))
		if i%3 == 1 {
			replace(t, path, next[:100])
			if s.Reload() == nil {
				t.Error("a broken file was taken")
			}
		}
		replace(t, path, next)
		if err := s.Reload(); err != nil {
			t.Error(err)
		}
		if err := say(stay, "\x00still"); err != nil {
			t.Fatalf("the connection that stayed: %v", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	stop.Store(true)
	clients.Wait()
	if !s.Leaf().Equal(last) || calls.Load() < 20 {
		t.Errorf("%d calls; the last file was taken: %v", calls.Load(), s.Leaf().Equal(last))
	}
}

func TestNothingShowsAPassword(t *testing.T) {
	f := Files{Cert: "a.p12", CertPassword: "canary", CAPassword: "canary"}
	for _, text := range []string{f.String(), f.GoString()} {
		if text == "" || len(text) > 200 || strings.Contains(text, "canary") {
			t.Errorf("%s", text)
		}
	}
	if _, err := New(Files{Cert: "testdata/modern.p12", CertPassword: "canary"}, (&journal{}).logger()); err == nil ||
		strings.Contains(err.Error(), "canary") {
		t.Error(err)
	}
}
