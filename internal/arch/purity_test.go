package arch

import (
	"go/ast"
	"go/types"
	"slices"
	"strings"
	"testing"
)

// pure are the rooms whose answers must be the same on every server and in every simulation.
var pure = []string{"session", "znode", "watch", "server/member", "server/state"}

// harmless lists the packages of the standard library that a pure room may import: they compute
// from their arguments. What is not listed is out: a clock (time), net but for the addresses of
// net/netip, os, log, rand, sync, context, runtime, and maps, whose order is chance.
var harmless = []string{
	"bytes", "cmp", "crypto/sha1", "crypto/subtle", "encoding/base64", "encoding/binary", "errors", "fmt",
	"hash", "hash/crc32", "iter", "math", "math/bits", "net/netip", "slices", "sort", "strconv", "strings",
	"unicode", "unicode/utf8", "unsafe",
}

// exceptions are imports that purity forgives, each for the reason written beside it.
var exceptions = []exception{
	{"watch", "hash/maphash", "a seed of its own keeps crafted paths from colliding, and nothing is listed in its order"},
}

type exception struct{ room, what, because string }

func TestPureRoomsImportWhatOnlyComputes(t *testing.T) {
	s := read(t)
	used := make([]bool, len(exceptions))
	for f := range s.files(false) {
		if !slices.Contains(pure, f.dir) {
			continue
		}
		for _, path := range f.imports() {
			if !standard(path) || slices.Contains(harmless, path) {
				continue
			}
			at := find(exceptions, f.dir, path)
			if at < 0 {
				t.Errorf("%s imports %s: the same answer on every server and in every simulation", f.path, path)
				continue
			}
			used[at] = true
		}
	}
	for i, e := range exceptions {
		if !used[i] {
			t.Errorf("%s no longer imports %s: take the exception away", e.room, e.what)
		}
	}
}

func find(list []exception, room, what string) int {
	return slices.IndexFunc(list, func(e exception) bool { return e.room == room && e.what == what })
}

// starters are the rooms that may have go statements, and why.
var starters = map[string]string{
	"internal/group": "every goroutine has a name, an owner and an end, and gets them here",
}

func TestGoroutinesAreStartedByTheGroup(t *testing.T) {
	s := read(t)
	for f := range s.files(false) {
		if starters[f.dir] != "" {
			continue
		}
		ast.Inspect(f.tree, func(n ast.Node) bool {
			if g, ok := n.(*ast.GoStmt); ok {
				t.Errorf("%s: go statement outside of internal/group: %s",
					s.set.Position(g.Pos()), starters["internal/group"])
			}
			return true
		})
	}
}

func TestNoInit(t *testing.T) {
	s := read(t)
	for f := range s.files(false) {
		for _, d := range f.tree.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: init: what happens is called by somebody", s.set.Position(fn.Pos()))
			}
		}
	}
}

// ordered are the functions of pure rooms that may range over a map, because what they make of it
// does not depend on the order.
var ordered = []exception{
	{"watch", "ids", "sorts what it has collected"},
}

// The order of a map differs from run to run, so a pure room that ranges over one must show that
// nobody can tell.
func TestPureRoomsDoNotRangeOverMaps(t *testing.T) {
	s := read(t)
	used := make([]bool, len(ordered))
	for _, dir := range pure {
		if s.rooms[dir] == nil {
			continue
		}
		info := s.typed(dir)
		for _, f := range s.rooms[dir].files {
			if f.test {
				continue
			}
			for _, at := range mapRanges(f.tree, info) {
				i := find(ordered, dir, at.function)
				if i < 0 {
					t.Errorf("%s: %s ranges over a map, whose order differs from server to server",
						s.set.Position(at.node.Pos()), at.function)
					continue
				}
				used[i] = true
			}
		}
	}
	for i, o := range ordered {
		if !used[i] {
			t.Errorf("%s.%s no longer ranges over a map: take the exception away", o.room, o.what)
		}
	}
}

type mapRange struct {
	function string
	node     ast.Node
}

func mapRanges(tree *ast.File, info *types.Info) []mapRange {
	var found []mapRange
	for _, d := range tree.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			r, ok := n.(*ast.RangeStmt)
			if !ok {
				return true
			}
			if kind := info.TypeOf(r.X); kind != nil {
				if _, ok := kind.Underlying().(*types.Map); ok {
					found = append(found, mapRange{fn.Name.Name, r})
				}
			}
			return true
		})
	}
	return found
}

// typed works out the types in a room from its own source and that of the rooms of ours it imports.
// Types of others stay unknown, which is enough: no map of theirs is in a pure room.
func (s *source) typed(dir string) *types.Info {
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	(&checker{s, map[string]*types.Package{}}).check(dir, info)
	return info
}

type checker struct {
	source *source
	done   map[string]*types.Package
}

func (c *checker) check(dir string, info *types.Info) *types.Package {
	var trees []*ast.File
	for _, f := range c.source.rooms[dir].files {
		if !f.test {
			trees = append(trees, f.tree)
		}
	}
	config := types.Config{Importer: c, Error: func(error) {}} // unknown types are no failure
	pkg, _ := config.Check(module+"/"+dir, c.source.set, trees, info)
	return pkg
}

// Import implements types.Importer.
func (c *checker) Import(path string) (*types.Package, error) {
	if pkg := c.done[path]; pkg != nil {
		return pkg, nil
	}
	dir, own := ours(path)
	pkg := types.NewPackage(path, path[strings.LastIndex(path, "/")+1:])
	pkg.MarkComplete()
	c.done[path] = pkg // at once: a circle of imports is the compiler's business, and ends here
	if own && c.source.rooms[dir] != nil {
		c.done[path] = c.check(dir, nil)
	}
	return c.done[path], nil
}
