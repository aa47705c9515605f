package main

import (
	"bytes"
	"net"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/grovekeeper/grove/server"
)

func TestWrongUsageIsOneLineAndCodeTwo(t *testing.T) {
	for line, want := range map[string]string{
		"plant":                  `grove: unknown command "plant": see grove --help`,
		"--plant":                "grove: flag provided but not defined: -plant",
		"serve here":             "grove: serve takes 0 arguments and was given 1: usage: grove serve",
		"serve --plant":          "grove: flag provided but not defined: -plant",
		"serve --tick-ms":        "grove: flag needs an argument: -tick-ms",
		"serve --tick-ms x":      `grove: --tick-ms is "x": must be a whole number`,
		"serve --tick-ms 5":      "grove: --tick-ms is 5: must be from 10 to 3600000",
		"serve --skip-acl=maybe": `grove: --skip-acl is "maybe": must be true or false`,
		"check":                  "grove: check takes 1 arguments and was given 0: usage: grove check DIR",
		"version 1":              "grove: version takes 0 arguments and was given 1: usage: grove version",
	} {
		var stdout, stderr bytes.Buffer
		code := run(append([]string{"grove"}, strings.Fields(line)...), &stdout, &stderr)
		if code != exitUsage || stderr.String() != want+"\n" || stdout.Len() > 0 {
			t.Errorf("grove %s: code %d\nstdout %q\nstderr %q\nwant   %q", line, code, stdout.String(), stderr.String(), want)
		}
	}
}

func TestEveryCommandHasHelpWithAnExample(t *testing.T) {
	for _, c := range newApp().Commands {
		var stdout, stderr bytes.Buffer
		code := run([]string{"grove", c.Name, "--help"}, &stdout, &stderr)
		if code != exitOK || stderr.Len() > 0 || !strings.Contains(stdout.String(), "$ grove "+c.Name) {
			t.Errorf("grove %s --help: code %d, stderr %q, stdout without an example:\n%s", c.Name, code, stderr.String(), stdout.String())
		}
		if c.OnUsageError == nil {
			t.Errorf("grove %s does not say in one line what is wrong with its flags", c.Name)
		}
	}
}

func TestHelpNamesEverySettingWithItsVariable(t *testing.T) {
	var stdout, stderr bytes.Buffer
	run([]string{"grove", "serve", "--help"}, &stdout, &stderr)
	s := defaults()
	for _, r := range s.rows() {
		if !strings.Contains(stdout.String(), "--"+r.name+" ") || !strings.Contains(stdout.String(), "[$"+r.env()+"]") {
			t.Errorf("no help for --%s with %s", r.name, r.env())
		}
	}
}

func TestTheVersionIsThatOfTheBuild(t *testing.T) {
	info := &debug.BuildInfo{
		Main:     debug.Module{Version: "v1.2.3+dirty"},
		Settings: []debug.BuildSetting{{Key: "vcs.time", Value: "2026-02-11T20:18:00Z"}},
	}
	b := buildOf(info)
	if got := b.String(); !strings.HasPrefix(got, "1.2.3+dirty, speaks ZooKeeper 3.9.5, built 2026-02-11 20:18 UTC with go") {
		t.Errorf("version = %q", got)
	}
	if got := b.plain(); got != "1.2.3.dirty" {
		t.Errorf("plain = %q, want what the version line of srvr may hold", got)
	}
	if got := buildOf(&debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}); got != (build{version: "dev"}) {
		t.Errorf("a build without a version is %+v", got)
	}
}

func TestTheReadyLine(t *testing.T) {
	clients := []net.Addr{
		&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 2181}, &net.TCPAddr{IP: net.IPv6loopback, Port: 2182},
	}
	c := server.Config{Dir: "/data", AdminAddr: "127.0.0.1:8080"}
	got := readyLine(clients, c, 0x1f, build{"1.2.3", time.Time{}})
	const want = "grove 1.2.3 is ready: clients on 127.0.0.1:2181 [::1]:2182, status on http://127.0.0.1:8080, data in /data, zxid 0x1f"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
