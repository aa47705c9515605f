package main

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/grovekeeper/grove/internal/zoocfg"
	"github.com/grovekeeper/grove/server/admin"
	"github.com/grovekeeper/grove/server/member"
)

// applyZoo puts what a zoo.cfg says where Grove keeps it, with ZooKeeper's default where the file
// is silent. Two defaults are Grove's own: quotas are enforced, and the status address is off
// unless the file speaks of it, and then on loopback unless the file says where.
func (s *settings) applyZoo(name string, f *zoocfg.File) {
	from := func(field, key string) { s.origin[field] = name + ": " + key }
	number := func(field string, into *int, value int, key string) {
		*into = value
		from(field, key)
	}
	if f.DataDir != "" {
		s.Dir = f.DataDir
		from("Dir", "dataDir")
	}
	if addr := f.ClientAddr(); addr != "" {
		s.ClientAddrs = []string{addr}
		from("ClientAddrs", "clientPort")
	}
	number("TickMs", &s.TickMs, f.TickTime, "tickTime")
	number("SessionTimeoutMinMs", &s.SessionTimeoutMinMs, f.MinSessionTimeout, "minSessionTimeout")
	number("SessionTimeoutMaxMs", &s.SessionTimeoutMaxMs, f.MaxSessionTimeout, "maxSessionTimeout")

	l := f.Limits
	number("ConnectionsPerAddressMax", &s.ConnectionsPerAddressMax, l.MaxClientCnxns, "maxClientCnxns")
	number("ConnectionsMax", &s.ConnectionsMax, l.MaxCnxns, "maxCnxns")
	number("OutstandingMax", &s.OutstandingMax, l.GlobalOutstandingLimit, "globalOutstandingLimit")
	number("FrameBytesMax", &s.FrameBytesMax, l.JuteMaxBuffer, "jute.maxbuffer")
	number("HandshakeTimeoutMs", &s.HandshakeTimeoutMs, l.SessionlessTimeout, "nio.sessionlessCnxnTimeout")
	number("CheckpointEvery", &s.CheckpointEvery, l.SnapCount, "snapCount")

	c := f.Containers
	number("ContainerCheckMs", &s.ContainerCheckMs, c.CheckIntervalMs, "znode.container.checkIntervalMs")
	number("ContainersPerMinute", &s.ContainersPerMinute, c.MaxPerMinute, "znode.container.maxPerMinute")
	number("ContainerNeverUsedMs", &s.ContainerNeverUsedMs, c.MaxNeverUsedIntervalMs,
		"znode.container.maxNeverUsedIntervalMs")

	s.applyZooAccess(f)
	from("AdminAddr", "admin.serverAddress")
	from("SuperDigest", "DigestAuthenticationProvider.superDigest")
}

func (s *settings) applyZooAccess(f *zoocfg.File) {
	s.SkipACL, s.SuperDigest = f.Security.SkipACL, f.Security.SuperDigest
	if f.Security.EnforceQuota != nil {
		s.EnforceQuota = *f.Security.EnforceQuota
	}
	if f.Admin.Asked && f.Admin.Enabled {
		host := f.Admin.ServerAddress
		if host == "" {
			host = "127.0.0.1"
		}
		s.AdminAddr = net.JoinHostPort(host, strconv.Itoa(f.Admin.ServerPort))
	}
	if f.Admin.Whitelist != nil {
		s.FourLetterWords = slices.DeleteFunc(slices.Clone(f.Admin.Whitelist), notAWord)
	}
}

func notAWord(word string) bool { return word != "*" && !slices.Contains(admin.Words(), word) }

// withoutEffect lists, for one warning, what a zoo.cfg says in vain.
func withoutEffect(name string, f *zoocfg.File) []any {
	var ignored, weaker, unknown []string
	for _, r := range f.Ignored {
		if r.Weaker {
			weaker = append(weaker, r.Key+" ("+r.Why+")")
		} else {
			ignored = append(ignored, r.Key)
		}
	}
	for _, r := range f.Unknown {
		unknown = append(unknown, r.Key)
	}
	for _, word := range f.Admin.Whitelist {
		if notAWord(word) {
			unknown = append(unknown, "4lw.commands.whitelist: "+word)
		}
	}
	var attributes []any
	for _, group := range []struct {
		name string
		keys []string
	}{{"unprotected", weaker}, {"ignored", ignored}, {"unknown", unknown}} {
		if len(group.keys) > 0 {
			attributes = append(attributes, group.name, strings.Join(group.keys, ", "))
		}
	}
	if len(attributes) == 0 {
		return nil
	}
	return append([]any{"file", name}, attributes...)
}

// readDynamic takes the server lines from the file that a zoo.cfg names for them, if it has none itself.
func readDynamic(f *zoocfg.File, read func(string) ([]byte, error)) error {
	if f.DynamicConfigFile == "" || len(f.Members) > 0 {
		return nil
	}
	text, err := read(f.DynamicConfigFile)
	if err != nil {
		return fmt.Errorf("dynamicConfigFile: %w", err)
	}
	dynamic, err := zoocfg.Parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", f.DynamicConfigFile, err)
	}
	f.Members = dynamic.Members
	return nil
}

// applyQuorum takes the server lines of a zoo.cfg. This server's number is in the file myid in its data
// directory. One line alone describes a server alone.
func (s *settings) applyQuorum(f *zoocfg.File, read func(string) ([]byte, error)) error {
	if len(f.Members) < 2 {
		return nil
	}
	// Where a line does not say where clients connect, it is not told: clientPort is this server's
	// own, and the table must be the same on all.
	table, err := member.FromConfig(f.Members, 0)
	if err != nil {
		return err
	}
	text, err := read(filepath.Join(f.DataDir, "myid"))
	if err != nil {
		return fmt.Errorf("server lines describe a quorum of %d: %w", len(f.Members), err)
	}
	id, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 8)
	if err != nil || id == 0 {
		return fmt.Errorf("myid is %q: must be a number from 1 to 255", strings.TrimSpace(string(text)))
	}
	s.ID, s.Peers = int(id), table
	if me, ok := table.Find(member.ID(id)); ok && me.ClientPort != 0 {
		s.ClientAddrs = []string{net.JoinHostPort(me.ClientHost, strconv.Itoa(me.ClientPort))}
	}
	return nil
}
