package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/grovekeeper/grove/server"
	"github.com/grovekeeper/grove/server/member"
)

// settings are everything that serve can be told.
type settings struct {
	server.Config
	LogFormat string // text or json
	LogLevel  string // a key of levels

	origin      map[string]string // field to where its value was given, as a person would look for it
	ineffective []any             // attributes of the warning about the file; none if there is none
}

var levels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

// row is one setting: --tick-ms on the command line, GROVE_TICK_MS in the environment, tick_ms in
// the file, TickMs in server.Config.
type row struct {
	name     string
	field    string
	into     any // *int, *string, *bool, *[]string or *member.Table
	category string
	usage    string
}

func (r row) env() string { return "GROVE_" + strings.ToUpper(strings.ReplaceAll(r.name, "-", "_")) }
func (r row) key() string { return strings.ReplaceAll(r.name, "-", "_") }

const (
	where   = "Where"
	limits  = "Limits"
	timing  = "Time"
	access  = "Access"
	secrecy = "TLS"
	storage = "Storage"
	logging = "Logging"
)

// rows lists every setting once. Flags, environment, file and help all come from here.
func (s *settings) rows() []row {
	return []row{
		{"dir", "Dir", &s.Dir, where, "directory of log and checkpoint"},
		{"id", "ID", &s.ID, where, "number of this server among its peers, from 1 to 255, as myid"},
		{"peers", "Peers", &s.Peers, where,
			"servers that found the quorum: N=host:port with commas, host:port:observer for one without a vote"},
		{"peer-addr", "PeerAddr", &s.PeerAddr, where, "host:port for the other servers, if it is not the one in peers"},
		{"client-addrs", "ClientAddrs", &s.ClientAddrs, where, "host:port for clients; several with commas"},
		{"admin-addr", "AdminAddr", &s.AdminAddr, where,
			"host:port of health, metrics and /commands over HTTP, without a password; empty for none"},

		{"tick-ms", "TickMs", &s.TickMs, timing, "length of a tick"},
		{"raft-tick-ms", "RaftTickMs", &s.RaftTickMs, timing,
			"how often a leader says that it lives; ten to twenty without a word begin an election"},
		{"session-timeout-min-ms", "SessionTimeoutMinMs", &s.SessionTimeoutMinMs, timing,
			"shortest time-out granted; 0 for 2 ticks"},
		{"session-timeout-max-ms", "SessionTimeoutMaxMs", &s.SessionTimeoutMaxMs, timing,
			"longest time-out granted; 0 for 20 ticks"},
		{"handshake-timeout-ms", "HandshakeTimeoutMs", &s.HandshakeTimeoutMs, timing,
			"how long a connection may say nothing"},

		{"connections-per-address-max", "ConnectionsPerAddressMax", &s.ConnectionsPerAddressMax, limits,
			"connections of one remote address; 0 for any number"},
		{"connections-max", "ConnectionsMax", &s.ConnectionsMax, limits, "connections; 0 for any number"},
		{"frame-bytes-max", "FrameBytesMax", &s.FrameBytesMax, limits, "longest request, as jute.maxbuffer"},
		{"outstanding-max", "OutstandingMax", &s.OutstandingMax, limits, "unanswered requests of one connection"},
		{"inbox-bytes-max", "InboxBytesMax", &s.InboxBytesMax, limits, "what may wait for one slow reader"},
		{"recent-changes-max", "RecentChangesMax", &s.RecentChangesMax, limits,
			"changes kept for clients that reconnect"},

		{"four-letter-words", "FourLetterWords", &s.FourLetterWords, access, "words answered, with commas; * for all"},
		{"linearizable-reads", "LinearizableReads", &s.LinearizableReads, access,
			"let every read wait until a quorum confirms that nothing is newer"},
		{"no-reconfig", "NoReconfig", &s.NoReconfig, access, "refuse changes of the membership"},
		{"enforce-quota", "EnforceQuota", &s.EnforceQuota, access, "refuse writes beyond a quota"},
		{"skip-acl", "SkipACL", &s.SkipACL, access, "let everybody do everything"},
		{"super-digest", "SuperDigest", &s.SuperDigest, access,
			"user:base64(sha1(user:password)) of who may do everything; better given by file or environment"},

		{"tls-cert", "TLS.Cert", &s.TLS.Cert, secrecy,
			"certificate shown to clients: PEM, or a store in .p12 or .jks"},
		{"tls-key", "TLS.Key", &s.TLS.Key, secrecy, "its key, if that is PEM of its own"},
		{"tls-ca", "TLS.CA", &s.TLS.CA, secrecy, "who signs the certificates of clients: PEM, .p12 or .jks"},
		{"tls-crl", "TLS.CRL", &s.TLS.CRL, secrecy, "what the CA has withdrawn: PEM"},
		{"tls-cert-password-file", "TLS.CertPasswordFile", &s.TLS.CertPasswordFile, secrecy,
			"file with the password of tls-cert's store"},
		{"tls-ca-password-file", "TLS.CAPasswordFile", &s.TLS.CAPasswordFile, secrecy,
			"file with the password of tls-ca's store"},
		{"tls-client-auth", "TLS.ClientAuth", &s.TLS.ClientAuth, secrecy,
			"none, want or need: what clients must show; need if there is a CA"},
		{"tls-protocols", "TLS.Protocols", &s.TLS.Protocols, secrecy, "TLSv1.2, TLSv1.3 or both"},
		{"tls-cipher-suites", "TLS.CipherSuites", &s.TLS.CipherSuites, secrecy, "those of TLS 1.2, by IANA's names"},
		{"tls-addrs", "TLSAddrs", &s.TLSAddrs, secrecy, "host:port for clients with TLS; several with commas"},
		{"tls-port-unification", "TLSPortUnification", &s.TLSPortUnification, secrecy,
			"take TLS on client-addrs too, beside plain connections"},
		{"x509-super-user", "X509SuperUser", &s.X509SuperUser, secrecy,
			"name of the certificate whose owner may do everything, as in CN=admin,O=Example"},
		{"peer-tls-cert", "PeerTLS.Cert", &s.PeerTLS.Cert, secrecy, "certificate servers show each other: as tls-cert"},
		{"peer-tls-key", "PeerTLS.Key", &s.PeerTLS.Key, secrecy, "its key, if that is PEM of its own"},
		{"peer-tls-ca", "PeerTLS.CA", &s.PeerTLS.CA, secrecy, "who signs the certificates of servers"},
		{"peer-tls-crl", "PeerTLS.CRL", &s.PeerTLS.CRL, secrecy, "what that CA has withdrawn: PEM"},
		{"peer-tls-cert-password-file", "PeerTLS.CertPasswordFile", &s.PeerTLS.CertPasswordFile, secrecy,
			"file with the password of peer-tls-cert's store"},
		{"peer-tls-ca-password-file", "PeerTLS.CAPasswordFile", &s.PeerTLS.CAPasswordFile, secrecy,
			"file with the password of peer-tls-ca's store"},

		{"checkpoint-every", "CheckpointEvery", &s.CheckpointEvery, storage, "log entries between checkpoints"},
		{"log-retain", "LogRetain", &s.LogRetain, storage, "log entries kept below a checkpoint; -1 for none"},
		{"container-check-ms", "ContainerCheckMs", &s.ContainerCheckMs, storage,
			"between looks for empty containers and overdue TTL nodes"},
		{"containers-per-minute", "ContainersPerMinute", &s.ContainersPerMinute, storage, "of them removed at most"},
		{"container-never-used-ms", "ContainerNeverUsedMs", &s.ContainerNeverUsedMs, storage,
			"after which an unused container is removed too; 0 for never"},

		{"log-format", "LogFormat", &s.LogFormat, logging, "text or json"},
		{"log-level", "LogLevel", &s.LogLevel, logging, "debug, info, warn or error"},
	}
}

// defaults are the settings of a server that is told nothing.
func defaults() settings {
	s := settings{
		Config: server.DefaultConfig(), LogFormat: "text", LogLevel: "info", origin: map[string]string{},
	}
	s.Dir = "grove-data"
	return s
}

// inputs are where settings come from, weakest last.
type inputs struct {
	flags map[string]string // by name, those that were given
	env   func(string) (string, bool)
	read  func(file string) ([]byte, error)
}

const configName = "config"

// gather takes every setting from its strongest source and holds the whole to its limits.
func gather(in inputs) (settings, error) {
	s := defaults()
	file, ok := in.flags[configName]
	if !ok {
		file, _ = in.env("GROVE_CONFIG")
	}
	if file != "" {
		if err := s.takeFile(file, in.read); err != nil {
			return settings{}, err
		}
	}
	for _, r := range s.rows() {
		if text, ok := in.env(r.env()); ok {
			if err := s.take(r, text, r.env()); err != nil {
				return settings{}, err
			}
		}
		if text, ok := in.flags[r.name]; ok {
			if err := s.take(r, text, "--"+r.name); err != nil {
				return settings{}, err
			}
		}
	}
	s.Config = s.Config.Complete()
	return s, s.validate()
}

func (s *settings) take(r row, text, origin string) error {
	if err := parseInto(r.into, text); err != nil {
		return usageError(fmt.Sprintf("%s is %q: must be %v", origin, text, err))
	}
	s.origin[r.field] = origin
	return nil
}

// parseInto reads text as whatever into points to. The error completes "must be".
func parseInto(into any, text string) error {
	switch into := into.(type) {
	case *string:
		*into = text
	case *int:
		v, err := strconv.Atoi(text)
		if err != nil {
			return errors.New("a whole number")
		}
		*into = v
	case *bool:
		v, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("true or false")
		}
		*into = v
	case *member.Table:
		t, err := member.ParsePeers(text)
		if err != nil {
			return fmt.Errorf("a list like 1=host:port,2=host:port:observer: %w", err)
		}
		*into = t
	case *[]string:
		*into = []string{}
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				*into = append(*into, part)
			}
		}
	default:
		panic(fmt.Sprintf("a setting of type %T", into))
	}
	return nil
}

// validate names what is wrong as the operator gave it, not as the code calls it.
func (s settings) validate() error {
	if _, ok := levels[s.LogLevel]; !ok {
		return s.wrong("LogLevel", strconv.Quote(s.LogLevel), "debug, info, warn or error")
	}
	if s.LogFormat != "text" && s.LogFormat != "json" {
		return s.wrong("LogFormat", strconv.Quote(s.LogFormat), "text or json")
	}
	err := s.Config.Validate()
	var detail *server.ConfigError
	if errors.As(err, &detail) {
		return s.wrong(detail.Field, detail.Value, detail.Limit)
	}
	return err
}

func (s settings) wrong(field, value, limit string) error {
	origin := s.origin[field]
	for _, r := range s.rows() {
		if r.field == field && origin == "" {
			origin = "--" + r.name
		}
	}
	return usageError(fmt.Sprintf("%s is %s: must be %s", origin, value, limit))
}

// flags are the settings on the command line, each with its default and its name in the environment.
func flags() []cli.Flag {
	s := defaults()
	s.Config = s.Config.Complete()
	s.SessionTimeoutMinMs, s.SessionTimeoutMaxMs = 0, 0 // these follow the tick
	list := []cli.Flag{&cli.GenericFlag{
		Name: configName, Category: where, Value: &argument{},
		Usage: "a file of settings: Grove's own in .toml, or a zoo.cfg [$GROVE_CONFIG]",
	}}
	for _, r := range s.rows() {
		_, isBool := r.into.(*bool)
		list = append(list, &cli.GenericFlag{
			Name: r.name, Category: r.category, Value: &argument{isBool: isBool},
			Usage: fmt.Sprintf("%s [$%s]", r.usage, r.env()), DefaultText: shown(r.into),
		})
	}
	return list
}

// argument is the text of one flag. Bool flags need no value.
type argument struct {
	text   string
	isBool bool
}

func (a *argument) Set(text string) error { a.text = text; return nil }
func (a *argument) String() string        { return a.text }
func (a *argument) IsBoolFlag() bool      { return a.isBool }

// given returns the flags that are on the command line.
func given(c *cli.Context) map[string]string {
	texts := map[string]string{}
	for _, name := range c.LocalFlagNames() {
		if a, ok := c.Generic(name).(*argument); ok {
			texts[name] = a.text
		}
	}
	return texts
}

// shown is a default as help prints it.
func shown(value any) string {
	switch v := value.(type) {
	case *string:
		if *v == "" {
			return "none"
		}
		return *v
	case *[]string:
		return strings.Join(*v, ",")
	case *member.Table:
		return "none"
	case *int:
		return strconv.Itoa(*v)
	case *bool:
		return strconv.FormatBool(*v)
	}
	panic(fmt.Sprintf("a setting of type %T", value))
}
