package trust

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWhoIsLetIn(t *testing.T) {
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	hour := time.Now().Add(time.Hour)
	good, _ := ours.issue("ada", hour)
	foreign, _ := theirs.issue("ada", hour)
	expired, _ := ours.issue("ada", time.Now().Add(-time.Hour))
	gone, goneCert := ours.issue("eve", hour)
	base := Files{Cert: ours.file("server"), CA: ours.ca()}
	with := func(auth string) Files { f := base; f.ClientAuth = auth; return f }
	listed := base
	listed.CRL = ours.revoke(hour, goneCert)
	stale := newAuthority(t, "stale")
	staleFiles := Files{Cert: stale.file("server"), CA: stale.ca(), CRL: stale.revoke(time.Now().Add(-time.Minute))}
	staleClient, _ := stale.issue("ada", hour)
	plainAnd := ListenConfig{Plain: true}

	for _, test := range []struct {
		name   string
		files  Files
		cfg    ListenConfig
		client *tls.Config // nil: plain
		in     bool
		as     string
	}{
		{"need, good", base, ListenConfig{}, ours.client(good), true, "CN=ada,O=Grove"},
		{"need, none", base, ListenConfig{}, ours.client(nil), false, ""},
		{"need, another CA", base, ListenConfig{}, ours.client(foreign), false, ""},
		{"need, expired", base, ListenConfig{}, ours.client(expired), false, ""},
		{"want, good", with(Want), ListenConfig{}, ours.client(good), true, "CN=ada,O=Grove"},
		{"want, none", with(Want), ListenConfig{}, ours.client(nil), true, ""},
		{"want, another CA", with(Want), ListenConfig{}, ours.client(foreign), false, ""},
		{"none, none", with(None), ListenConfig{}, ours.client(nil), true, ""},
		{"none, another CA", with(None), ListenConfig{}, ours.client(foreign), true, ""},
		{"the server is a stranger", base, ListenConfig{}, theirs.client(good), false, ""},
		{"withdrawn", listed, ListenConfig{}, ours.client(gone), false, ""},
		{"not withdrawn", listed, ListenConfig{}, ours.client(good), true, "CN=ada,O=Grove"},
		{"a list out of date", staleFiles, ListenConfig{}, stale.client(staleClient), false, ""},
		{"plain on a port for TLS", base, ListenConfig{}, nil, false, ""},
		{"plain on a port for both", base, plainAnd, nil, true, ""},
		{"TLS on a port for both", base, plainAnd, ours.client(good), true, "CN=ada,O=Grove"},
		{"plain on a plain port", Files{}, ListenConfig{}, nil, true, ""},
		{"TLS on a plain port", Files{}, ListenConfig{}, ours.client(good), false, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.files.Set() {
				test.cfg.Source = mustSource(t, test.files)
			}
			e := newEcho(t, test.cfg)
			err := e.call(test.client)
			if (err == nil) != test.in {
				t.Fatalf("err = %v, want let in %v", err, test.in)
			}
			if !test.in {
				e.Close()
				e.done.Wait() // until it has been counted
				if f := e.Figures(); f.Plain+f.TLS+f.Failed != 1 {
					t.Errorf("counted %+v, want one refusal", f)
				}
				return
			}
			var as string
			if ids := <-e.ids; len(ids) == 1 && ids[0][0] == "x509" {
				as = ids[0][1]
			}
			if as != test.as {
				t.Errorf("is %q, want %q", as, test.as)
			}
		})
	}
}

func TestTheSuperUserIsNamedByACertificate(t *testing.T) {
	a := newAuthority(t, "ca")
	root, _ := a.issue("root", time.Now().Add(time.Hour))
	e := newEcho(t, ListenConfig{
		Source: mustSource(t, Files{Cert: a.file("server"), CA: a.ca()}), SuperUser: "CN=root,O=Grove",
	})
	if err := e.call(a.client(root)); err != nil {
		t.Fatal(err)
	}
	if ids := <-e.ids; !slices.Equal(ids, [][2]string{{"x509", "CN=root,O=Grove"}, {"super", ""}}) {
		t.Errorf("is %v", ids)
	}
}

func TestOldProtocolsAreRefused(t *testing.T) {
	a := newAuthority(t, "ca")
	for _, test := range []struct {
		files Files
		max   uint16
		want  uint16 // 0: refused
	}{
		{Files{}, tls.VersionTLS11, 0},
		{Files{}, tls.VersionTLS12, tls.VersionTLS12},
		{Files{}, tls.VersionTLS13, tls.VersionTLS13},
		{Files{Protocols: []string{"TLSv1.3"}}, tls.VersionTLS12, 0},
		{Files{Protocols: []string{"TLSv1.2"}}, tls.VersionTLS13, tls.VersionTLS12},
		{Files{CipherSuites: []string{"TLS_AES_128_GCM_SHA256"}}, tls.VersionTLS12, 0},
		{Files{CipherSuites: []string{"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"}}, tls.VersionTLS12, tls.VersionTLS12},
		{Files{CipherSuites: []string{"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"}}, tls.VersionTLS12, 0}, // the key is ECDSA
	} {
		test.files.Cert = a.file("server")
		e := newEcho(t, ListenConfig{Source: mustSource(t, test.files)})
		cfg := a.client(nil)
		cfg.MinVersion, cfg.MaxVersion = tls.VersionTLS10, test.max
		nc, err := e.dial(cfg)
		if err != nil {
			if test.want != 0 {
				t.Errorf("%v up to %x: %v", test.files, test.max, err)
			}
			continue
		}
		if got := nc.(*tls.Conn).ConnectionState().Version; got != test.want {
			t.Errorf("%v up to %x: version %x, want %x", test.files, test.max, got, test.want)
		}
		nc.Close()
	}
}

// Nobody who is slow to say what he is keeps others from being accepted, and nobody may be slow for ever.
func TestTheSilentAreClosedAndHinderNobody(t *testing.T) {
	a := newAuthority(t, "ca")
	e := newEcho(t, ListenConfig{
		Source: mustSource(t, Files{Cert: a.file("server")}), Plain: true, HandshakeTimeout: 300 * time.Millisecond,
	})
	var slow []net.Conn
	for _, start := range []string{"", "\x16", "\x16\x03\x01\x02\x00\x01"} {
		nc, err := e.dial(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		io.WriteString(nc, start)
		slow = append(slow, nc)
	}
	if err := e.call(nil); err != nil {
		t.Errorf("plain beside the silent: %v", err)
	}
	if err := e.call(a.client(nil)); err != nil {
		t.Errorf("TLS beside the silent: %v", err)
	}
	for i, nc := range slow {
		nc.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.ReadAll(nc); errors.Is(err, net.ErrClosed) || isTimeout(err) {
			t.Errorf("%d is still there: %v", i, err)
		}
	}
	e.Close()
	e.done.Wait()
	if f := e.Figures(); f.Silent != 3 || f.Failed != 0 {
		t.Errorf("counted %+v", f)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestAPlainConnectionThatWasGreetedMayBeSilent(t *testing.T) {
	e := newEcho(t, ListenConfig{HandshakeTimeout: 50 * time.Millisecond})
	nc, err := e.dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := say(nc, "\x00hello"); err != nil {
		t.Fatal(err)
	}
	nc.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if _, err := nc.Read(make([]byte, 1)); !isTimeout(err) {
		t.Errorf("was closed: %v", err)
	}
}

func TestTheFirstBytesMayComeOneByOneAndAreReadInAnyPieces(t *testing.T) {
	e := newEcho(t, ListenConfig{})
	nc, err := e.dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	text := "\x00" + strings.Repeat("0123456789", 500)
	if err := say(nc, text); err != nil {
		t.Error(err)
	}
}

func TestRefusalsAreLoggedNowAndThen(t *testing.T) {
	a := newAuthority(t, "ca")
	e := newEcho(t, ListenConfig{Source: mustSource(t, Files{Cert: a.file("server")})})
	for range 20 {
		if e.call(nil) == nil {
			t.Fatal("plain bytes were taken")
		}
	}
	e.Close()
	e.done.Wait()
	if n := e.log.count("plain bytes where TLS is spoken"); n != 2 { // message and error of one line
		t.Errorf("said %d times in:\n%s", n, e.log.b.String())
	}
	if f := e.Figures(); f.Plain != 20 {
		t.Errorf("counted %+v", f)
	}
}

// Close must not wait for a client that takes nothing: crypto/tls would, five seconds.
func TestClosingDoesNotWait(t *testing.T) {
	a := newAuthority(t, "ca")
	s := mustSource(t, Files{Cert: a.file("server")})
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	l := Listen(inner, ListenConfig{Source: s, Logger: (&journal{}).logger()})
	go func() {
		client, err := tls.Dial("tcp", l.Addr().String(), a.client(nil))
		if err == nil {
			client.Write([]byte("x"))
			time.Sleep(time.Second) // takes nothing
			client.Close()
		}
	}()
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	nc.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	for err == nil {
		_, err = nc.Write(make([]byte, 1<<16))
	}
	begun := time.Now()
	nc.(*Conn).CloseWrite()
	nc.Close()
	if took := time.Since(begun); took > 900*time.Millisecond {
		t.Errorf("took %v", took)
	}
}

// Close wakes whoever waits in Read, at every stage.
func TestCloseWakesTheReader(t *testing.T) {
	a := newAuthority(t, "ca")
	for _, start := range []string{"", "\x16\x03\x01"} {
		inner, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		log := &journal{}
		l := Listen(inner, ListenConfig{Source: mustSource(t, Files{Cert: a.file("server")}), Logger: log.logger()})
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(client, start)
		nc, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(50*time.Millisecond, func() { nc.Close() })
		if _, err := nc.Read(make([]byte, 1)); err == nil {
			t.Error("read something")
		}
		if f := l.Figures(); f != (Figures{}) {
			t.Errorf("our own doing is counted: %+v", f)
		}
		client.Close()
		inner.Close()
	}
}
