package zoocfg

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// honoured lists the keys that have an effect, once each, with where their values go.
func (f *File) honoured() []field {
	l, c, a, s := &f.Limits, &f.Containers, &f.Admin, &f.Security
	list := []field{
		{"dataDir", text(&f.DataDir)},
		{"dynamicConfigFile", text(&f.DynamicConfigFile)},
		{"clientPort", number(&f.ClientPort, 0, 65535)},
		{"clientPortAddress", text(&f.ClientPortAddress)},
		{"secureClientPort", number(&f.SecureClientPort, 0, 65535)},
		{"secureClientPortAddress", text(&f.SecureClientPortAddress)},
		{"tickTime", number(&f.TickTime, 1, math.MaxInt32)},
		{"minSessionTimeout", orDefault(&f.MinSessionTimeout)},
		{"maxSessionTimeout", orDefault(&f.MaxSessionTimeout)},

		{"maxClientCnxns", number(&l.MaxClientCnxns, 0, math.MaxInt32)},
		{"maxCnxns", number(&l.MaxCnxns, 0, math.MaxInt32)},
		{"globalOutstandingLimit", number(&l.GlobalOutstandingLimit, 1, math.MaxInt32)},
		{"jute.maxbuffer", number(&l.JuteMaxBuffer, 1, math.MaxInt32)},
		{"nio.sessionlessCnxnTimeout", number(&l.SessionlessTimeout, 1, math.MaxInt32)},
		{"snapCount", number(&l.SnapCount, 1, math.MaxInt32)},

		{"znode.container.checkIntervalMs", number(&c.CheckIntervalMs, 1, math.MaxInt32)},
		{"znode.container.maxPerMinute", number(&c.MaxPerMinute, 1, math.MaxInt32)},
		{"znode.container.maxNeverUsedIntervalMs", number(&c.MaxNeverUsedIntervalMs, 0, math.MaxInt32)},

		{"4lw.commands.whitelist", words(&a.Whitelist)},
		{"admin.enableServer", a.asked(truth(&a.Enabled))},
		{"admin.serverAddress", a.asked(text(&a.ServerAddress))},
		{"admin.serverPort", a.asked(number(&a.ServerPort, 0, 65535))},

		{"skipACL", s.setSkipACL},
		{"DigestAuthenticationProvider.superDigest", text(&s.SuperDigest)},
		{"enforceQuota", s.setEnforceQuota},
		{"X509AuthenticationProvider.superUser", text(&s.X509SuperUser)},
		{"client.portUnification", truth(&s.PortUnification)},
		{"sslQuorum", truth(&s.SSLQuorum)},
	}
	return append(append(list, f.TLS.clients()...), f.QuorumTLS.servers()...)
}

type field struct {
	key string
	set func(value string) error
}

func (a *Admin) asked(set func(string) error) func(string) error {
	return func(value string) error {
		a.Asked = true
		return set(value)
	}
}

// setSkipACL wants the word "yes" and nothing else.
func (s *Security) setSkipACL(value string) error {
	s.SkipACL = value == "yes"
	return nil
}

func (s *Security) setEnforceQuota(value string) error {
	s.EnforceQuota = new(bool)
	return truth(s.EnforceQuota)(value)
}

// take files one property: honoured, a member, ignored or unknown.
func (f *File) take(p property) error {
	key := strings.TrimPrefix(p.key, "zookeeper.") // as a Java option; people write both
	for _, h := range f.honoured() {
		if h.key != key {
			continue
		}
		if err := h.set(p.value); err != nil {
			return &Error{Line: p.line, Key: p.key, Why: err.Error()}
		}
		return nil
	}
	if name, ok := strings.CutPrefix(key, "authProvider."); ok {
		return f.takeProvider(name, p)
	}
	if why, weaker, ok := ignoredFor(key); ok {
		f.Ignored = append(f.Ignored, Remark{Key: p.key, Line: p.line, Why: why, Weaker: weaker})
		return nil
	}
	if id, ok := strings.CutPrefix(key, "server."); ok {
		m, err := parseMember(id, p.value)
		if err != nil {
			return &Error{Line: p.line, Key: p.key, Why: err.Error()}
		}
		f.Members = append(f.Members, m)
		return nil
	}
	if why := dangerous(key); why != "" {
		return &Error{Line: p.line, Key: p.key, Why: why}
	}
	f.Unknown = append(f.Unknown, Remark{Key: p.key, Line: p.line, Why: "unknown"})
	return nil
}

func text(field *string) func(string) error {
	return func(value string) error { *field = value; return nil }
}

// truth reads a boolean as Java does: "true" in any case, and everything else is false.
func truth(field *bool) func(string) error {
	return func(value string) error { *field = strings.EqualFold(value, "true"); return nil }
}

func number(field *int, low, high int64) func(string) error {
	return func(value string) error {
		v, err := decode(value)
		if err != nil {
			return err
		}
		if v < low || v > high {
			return fmt.Errorf("is %d: must be from %d to %d", v, low, high)
		}
		*field = int(v)
		return nil
	}
}

// orDefault reads a session time-out, in which -1 asks for the default.
func orDefault(field *int) func(string) error {
	return func(value string) error {
		if value == "-1" {
			*field = 0
			return nil
		}
		return number(field, 1, math.MaxInt32)(value)
	}
}

// decode reads a whole number as Java's Integer.decode does: decimal, or 0x and # for sixteen.
func decode(value string) (int64, error) {
	digits, base := value, 10
	for _, prefix := range []string{"0x", "0X", "#"} {
		if rest, ok := strings.CutPrefix(value, prefix); ok {
			digits, base = rest, 16
		}
	}
	v, err := strconv.ParseInt(digits, base, 64)
	if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%q is too large", value)
	}
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", value)
	}
	return v, nil
}

// words reads a list with commas. An empty one is a list all the same: no word at all.
func words(field *[]string) func(string) error {
	return func(value string) error {
		list := []string{}
		for word := range strings.SplitSeq(value, ",") {
			if word = strings.TrimSpace(word); word != "" {
				list = append(list, word)
			}
		}
		*field = list
		return nil
	}
}
