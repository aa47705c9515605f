package zoocfg

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestProperties(t *testing.T) {
	for text, want := range map[string][]property{
		"a=b":                        {{"a", "b", 1}},
		"a = b ":                     {{"a", "b", 1}},
		"a:b":                        {{"a", "b", 1}},
		"a b":                        {{"a", "b", 1}},
		"a\tb=c":                     {{"a", "b=c", 1}},
		"a==b":                       {{"a", "=b", 1}},
		"a":                          {{"a", "", 1}},
		" \t a=b":                    {{"a", "b", 1}},
		"#a=b\n! c=d\n  # e\nf=g":    {{"f", "g", 4}},
		"a=b#c":                      {{"a", "b#c", 1}},
		"a=b\rc=d\r\ne=f":            {{"a", "b", 1}, {"c", "d", 2}, {"e", "f", 3}},
		"a=b\\\n   c\nd=e":           {{"a", "bc", 1}, {"d", "e", 3}},
		"a=b\\\\\nd=e":               {{"a", `b\`, 1}, {"d", "e", 2}},
		"a=b\\\n#c":                  {{"a", "b#c", 1}},
		"a=b\\":                      {{"a", "b", 1}},
		`a\=b\ c=d`:                  {{"a=b c", "d", 1}},
		`p=C:\\data\tx\q`:            {{"p", "C:\\data\txq", 1}},
		`p=\u0041\u00e9\ud83d\ude00`: {{"p", "Aé😀", 1}},
		`p=\ud83dx`:                  {{"p", "\uFFFDx", 1}},
		"p=/srv/é":                   {{"p", "/srv/é", 1}},
		"a=1\nb=2\na=3":              {{"a", "3", 3}, {"b", "2", 2}},
		"":                           nil,
		"\n\n  \n":                   nil,
	} {
		got, err := readProperties([]byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(property{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

// FuzzEscapes holds that what is written with every character escaped reads back as itself.
func FuzzEscapes(f *testing.F) {
	f.Add("key", "value")
	f.Add("a=b:c d#!", "\\ \t\r\n\f=:#! é 😀\x00")
	f.Fuzz(func(t *testing.T, key, value string) {
		if !utf8.ValidString(key) || !utf8.ValidString(value) || key != strings.TrimSpace(key) || value != strings.TrimSpace(value) {
			t.Skip("white space around them is not kept, and \\u cannot write what is no text")
		}
		got, err := readProperties([]byte(inDigits(key) + "=" + inDigits(value)))
		if err != nil {
			t.Fatal(err)
		}
		want := []property{{key, value, 1}}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(property{})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// inDigits writes s in \uXXXX throughout, in pairs beyond the first 65536 characters.
func inDigits(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r >= 0x10000 {
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04X`, 0xd800+r>>10, 0xdc00+r&0x3ff)
			continue
		}
		fmt.Fprintf(&b, `\u%04x`, r)
	}
	return b.String()
}
