package server

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func valid() Config {
	c := DefaultConfig()
	c.Dir = "data"
	return c.Complete()
}

func TestTheDefaultsAreValid(t *testing.T) {
	if err := valid().Validate(); err != nil {
		t.Fatal(err)
	}
	c := Config{Dir: "data"}.Complete() // a test's terse configuration
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if c.SessionTimeoutMinMs != 4000 || c.SessionTimeoutMaxMs != 40000 {
		t.Errorf("session time-outs %d to %d, want 2 and 20 ticks", c.SessionTimeoutMinMs, c.SessionTimeoutMaxMs)
	}
}

func TestCompleteKeepsWhatIsSaid(t *testing.T) {
	c := Config{Dir: "data", TickMs: 100, FourLetterWords: []string{}, OutstandingMax: 7}.Complete()
	if c.SessionTimeoutMinMs != 200 || len(c.FourLetterWords) != 0 || c.OutstandingMax != 7 {
		t.Errorf("Complete changed what was set: %+v", c)
	}
	again := c.Complete()
	if !reflect.DeepEqual(c, again) {
		t.Errorf("Complete twice differs:\n%+v\n%+v", c, again)
	}
}

func TestValidateNamesFieldAndLimit(t *testing.T) {
	for _, test := range []struct {
		spoil func(*Config)
		want  string
	}{
		{func(c *Config) { c.Dir = "" }, `Dir is "": must be a directory`},
		{func(c *Config) { c.ClientAddrs = []string{"localhost"} }, `ClientAddrs is "localhost": must be host:port`},
		{func(c *Config) { c.ClientAddrs = []string{":2181", ":70000"} }, `ClientAddrs is ":70000": must be host:port`},
		{func(c *Config) { c.AdminAddr = "8080" }, `AdminAddr is "8080": must be host:port`},
		{func(c *Config) { c.TickMs = 9 }, "TickMs is 9: must be from 10 to 3600000"},
		{func(c *Config) { c.SessionTimeoutMinMs = 50_000 }, "SessionTimeoutMinMs is 50000: must be from 1 to 40000"},
		{func(c *Config) { c.SessionTimeoutMaxMs = -5 }, "SessionTimeoutMaxMs is -5: must be from 1 to 2147483647"},
		{func(c *Config) { c.FrameBytesMax = 1 }, "FrameBytesMax is 1: must be from 1024 to 268435456"},
		{func(c *Config) { c.ConnectionsMax = -1 }, "ConnectionsMax is -1: must be from 0 to 2147483647"},
		{func(c *Config) { c.FourLetterWords = []string{"rouk"} }, `FourLetterWords is "rouk": must be * or one of conf, cons,`},
		{func(c *Config) { c.SuperDigest = "super" }, `SuperDigest is malformed: must be user:base64(sha1(user:password))`},
		{func(c *Config) { c.CheckpointEvery = -1 }, "CheckpointEvery is -1: must be from 1 to 2147483647"},
	} {
		c := valid()
		test.spoil(&c)
		err := c.Validate()
		if !errors.Is(err, ErrConfig) || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("Validate = %v, want %q", err, test.want)
		}
		var detail *ConfigError
		if !errors.As(err, &detail) || !strings.HasPrefix(test.want, detail.Field) {
			t.Errorf("Validate = %#v, want a *ConfigError with the field of %q", err, test.want)
		}
	}
}

// Each number of Config must be bounded, or a new field would be checked by nobody.
func TestEveryNumberHasABound(t *testing.T) {
	bounded := map[string]bool{}
	for _, b := range valid().bounds() {
		bounded[b.field] = true
	}
	kind := reflect.TypeFor[Config]()
	for i := range kind.NumField() {
		if f := kind.Field(i); f.Type.Kind() == reflect.Int && !bounded[f.Name] {
			t.Errorf("%s has no bound", f.Name)
		}
	}
}
