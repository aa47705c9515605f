package znode

import (
	"strings"
	"testing"
)

func TestValidPath(t *testing.T) {
	for _, path := range []string{
		"/", "/a", "/a/b", "/a/.b", "/a/...", "/..a/b", "/ ", "/é/b", "/\uF900", "/\uFEFF", "/\uFFEF", "/\u00A0",
		"/" + strings.Repeat("x", 1<<20),
	} {
		if err := ValidPath(path); err != nil {
			t.Errorf("%.20q: %v", path, err)
		}
	}
	for _, path := range []string{
		"", "a", "a/b", "//", "/a/", "/a//b", "//a", "/.", "/..", "/./a", "/a/..", "/a/./b", "/a/../b",
		"/\x00", "/a\x00b", "/\x1f", "/\n/a", "/\x7f", "/\u0080", "/\u009f", "/\ue000", "/\uf8ff", "/\ufff0", "/\uffff",
		"/\U0001F600", "/\xff", "/é/", "/é//a", "/é/.", "/é/../a", "/é\x01", "/\xed\xa0\x80",
	} {
		if err := ValidPath(path); err != ErrBadArguments {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestKeyOf(t *testing.T) {
	for _, c := range [][3]string{
		{"/", "", ""}, {"/a", "/", "a"}, {"/a/b", "/a", "b"}, {"/a/b/c", "/a/b", "c"}, {"", "", ""}, {"/a/", "/a", ""},
	} {
		if parent, name := KeyOf(c[0]); parent != c[1] || name != c[2] {
			t.Errorf("%q is %q in %q", c[0], name, parent)
		}
	}
}

func FuzzValidPath(f *testing.F) {
	f.Add("/a/b")
	f.Add("/é/\U0001F600")
	f.Fuzz(func(t *testing.T, path string) {
		want := twinValid(path)
		for _, r := range path {
			want = want && !(r < 0x20 || r >= 0x7F && r <= 0x9F || r >= 0xD800 && r <= 0xF8FF || r >= 0xFFF0)
		}
		if got := ValidPath(path) == nil; got != want {
			t.Fatalf("%q: valid %v, want %v", path, got, want)
		}
		if want {
			n := bare(path)
			if parent, name := KeyOf(path); n.Name() != name || n.Parent() != parent {
				t.Fatalf("%q is %q in %q", path, n.Name(), n.Parent())
			}
		}
	})
}
