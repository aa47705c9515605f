package arch

import (
	"bufio"
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/grovekeeper/grove"

// source is the module as it lies on the disk.
type source struct {
	set   *token.FileSet
	rooms map[string]*room // by folder, slashes, "." for the root
	tops  []string         // folders at the root, sorted
}

// room is one folder with Go files in it.
type room struct {
	dir   string
	files []*file
}

type file struct {
	path string // from the root
	dir  string // its room
	test bool
	text []byte
	tree *ast.File
}

// load reads the module once for all tests.
var load = sync.OnceValues(func() (*source, error) {
	s := &source{set: token.NewFileSet(), rooms: map[string]*room{}}
	root := os.DirFS("../..")
	err := fs.WalkDir(root, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return s.enter(path)
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		text, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		return s.add(path, text)
	})
	return s, err
})

func (s *source) enter(path string) error {
	name := filepath.Base(path)
	if path != "." && strings.HasPrefix(name, ".") || name == "testdata" {
		return fs.SkipDir
	}
	if path != "." && !strings.Contains(path, "/") {
		s.tops = append(s.tops, path)
	}
	return nil
}

func (s *source) add(path string, text []byte) error {
	tree, err := parser.ParseFile(s.set, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir := filepath.ToSlash(filepath.Dir(path))
	if s.rooms[dir] == nil {
		s.rooms[dir] = &room{dir: dir}
	}
	test := strings.HasSuffix(path, "_test.go")
	r := s.rooms[dir]
	r.files = append(r.files, &file{path: path, dir: dir, test: test, text: text, tree: tree})
	return nil
}

func read(t *testing.T) *source {
	t.Helper()
	s, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// files yields the tests or the rest, in order of their path.
func (s *source) files(tests bool) iter.Seq[*file] {
	return func(yield func(*file) bool) {
		for _, dir := range s.dirs() {
			for _, f := range s.rooms[dir].files {
				if f.test == tests && !yield(f) {
					return
				}
			}
		}
	}
}

func (s *source) dirs() []string {
	var list []string
	for dir := range s.rooms {
		list = append(list, dir)
	}
	slices.Sort(list)
	return list
}

// imports lists what a file imports.
func (f *file) imports() []string {
	var list []string
	for _, spec := range f.tree.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			panic(err) // the parser has accepted it
		}
		list = append(list, path)
	}
	return list
}

// ours tells whether an import is a room of this module, and which.
func ours(path string) (dir string, ok bool) {
	if path == module {
		return ".", true
	}
	return strings.CutPrefix(path, module+"/")
}

// standard tells whether an import is of the standard library: its first element has no point.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	_, own := ours(path)
	return !own && !strings.Contains(first, ".")
}

// within tells whether a folder is one of the given, or below one that ends in "/...".
func within(dir string, rooms ...string) bool {
	for _, r := range rooms {
		family, many := strings.CutSuffix(r, "/...")
		if dir == r || many && (dir == family || strings.HasPrefix(dir, family+"/")) {
			return true
		}
	}
	return false
}

// links lists every room that dir imports, itself or through others, without the tests, and
// through whom.
func (s *source) links(dir string) map[string]string {
	via := map[string]string{}
	var visit func(string)
	visit = func(from string) {
		if s.rooms[from] == nil {
			return // named by an import, and not there: the compiler says so better
		}
		for _, f := range s.rooms[from].files {
			if f.test {
				continue
			}
			for _, path := range f.imports() {
				if to, ok := ours(path); ok && via[to] == "" {
					via[to] = from
					visit(to)
				}
			}
		}
	}
	visit(dir)
	return via
}

// lines yields the lines of a file and their numbers, from 1.
func (f *file) lines(yield func(int, string) bool) {
	scan := bufio.NewScanner(bytes.NewReader(f.text))
	scan.Buffer(nil, len(f.text)+1)
	for n := 1; scan.Scan(); n++ {
		if !yield(n, scan.Text()) {
			return
		}
	}
}
