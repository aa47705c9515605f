package session

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

// TestClamp states what is granted for what is asked.
func TestClamp(t *testing.T) {
	for _, c := range []struct{ requested, granted int32 }{
		{30_000, 30_000}, {4_000, 4_000}, {40_000, 40_000},
		{3_999, 4_000}, {1, 4_000}, {0, 4_000}, {-1, 4_000}, {math.MinInt32, 4_000},
		{40_001, 40_000}, {math.MaxInt32, 40_000},
	} {
		if got := Clamp(c.requested, 4_000, 40_000); got != c.granted {
			t.Errorf("%d is granted for %d, want %d", got, c.requested, c.granted)
		}
	}
}

// TestPasswordIsSecret states that no way of printing a session prints its password.
func TestPasswordIsSecret(t *testing.T) {
	s := Session{ID: 1, Password: Password(bytes.Repeat([]byte("S3"), 8)), TimeoutMs: 1, Epoch: 1}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%q", "%d"} {
		for _, arg := range []any{s, &s, s.Password, &s.Password, []Session{s}} {
			text := fmt.Sprintf(verb, arg)
			for _, secret := range []string{"S3S3", "5333", "83 51", "0x53, 0x33"} {
				if strings.Contains(text, secret) {
					t.Errorf("%s prints %s", verb, text)
				}
			}
		}
	}
}

func TestIDString(t *testing.T) {
	for id, want := range map[ID]string{1: "0x1", 0x100000000000042: "0x100000000000042", -1: "0xffffffffffffffff"} {
		if got := id.String(); got != want {
			t.Errorf("%d prints %s, want %s", int64(id), got, want)
		}
	}
}

// TestGoldenEncoding fixes the bytes of version 1: they are on disk.
func TestGoldenEncoding(t *testing.T) {
	s := Session{ID: 0x0102030405060708, Epoch: 0x11121314, TimeoutMs: 0x21222324, Password: Password([]byte("0123456789abcdef"))}
	want := "\x01" + "\x01\x02\x03\x04\x05\x06\x07\x08" + "\x11\x12\x13\x14" + "\x21\x22\x23\x24" + "0123456789abcdef"
	if got := string(AppendSession([]byte("before"), s)); got != "before"+want {
		t.Errorf("encoded as\n%x, want\n%x", got, "before"+want)
	}
	if got, err := DecodeSession([]byte(want)); err != nil || got != s {
		t.Errorf("decoded as %+v, %v", got, err)
	}
}

// FuzzDecode states that whatever bytes either are a session, and then its only encoding, or are
// refused with ErrFormat.
func FuzzDecode(f *testing.F) {
	good := AppendSession(nil, Session{ID: 7, Epoch: 1, TimeoutMs: 4000, Password: Password{15: 1}})
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(append(bytes.Clone(good), 0))
	f.Add(append([]byte{2}, good[1:]...))
	f.Add(make([]byte, len(good)))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeSession(b)
		if err != nil {
			if !errors.Is(err, ErrFormat) || s != (Session{}) {
				t.Fatalf("%x: %+v, %v", b, s, err)
			}
			return
		}
		if again := AppendSession(nil, s); !bytes.Equal(again, b) {
			t.Fatalf("%x is encoded as %x", b, again)
		}
		if err := NewTable().Restore(s); err != nil {
			t.Fatalf("%x cannot be restored: %v", b, err)
		}
	})
}
