package arch

import (
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	linesMax   = 600 // of a file: a sitting
	columnsMax = 120 // of a line, a tab counting as one
)

func TestFilesAreASittingAndLinesAGlance(t *testing.T) {
	s := read(t)
	for f := range s.files(false) {
		final := 0
		for n, line := range f.lines {
			final = n
			if width := utf8.RuneCountInString(line); width > columnsMax {
				t.Errorf("%s:%d: %d columns: at most %d", f.path, n, width, columnsMax)
			}
		}
		if final > linesMax {
			t.Errorf("%s: %d lines: at most %d; this is probably two rooms", f.path, final, linesMax)
		}
	}
}

// A package is one sentence, and it opens the package comment.
func TestEveryPackageSaysWhatItIs(t *testing.T) {
	s := read(t)
	for _, dir := range s.dirs() {
		var said []string
		name, code := "", false
		for _, f := range s.rooms[dir].files {
			if f.test {
				continue
			}
			code, name = true, f.tree.Name.Name
			if f.tree.Doc != nil {
				said = append(said, f.tree.Doc.Text())
			}
		}
		opening := "Package " + name + " "
		if name == "main" {
			opening = "Command "
		}
		switch {
		case !code:
		case len(said) != 1:
			t.Errorf("%s has %d package comments, want one", dir, len(said))
		case !strings.HasPrefix(said[0], opening):
			t.Errorf("%s: the package comment begins %.30q, want %q", dir, said[0], opening)
		}
	}
}
