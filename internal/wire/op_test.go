package wire

import (
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"testing"
)

// declared returns the value of every exported constant of the named type in this package, by
// name. It reads the source, so that a constant added without its row is noticed.
func declared(t *testing.T, typeName string) map[string]int32 {
	t.Helper()
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range []string{"op.go", "code.go"} {
		f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		f.Decls = slices.DeleteFunc(f.Decls, func(d ast.Decl) bool {
			g, ok := d.(*ast.GenDecl)
			return !ok || g.Tok != token.CONST && !declares(g, "Op", "Code", "Class")
		})
		files = append(files, f)
	}
	conf := types.Config{Error: func(error) {}}
	pkg, _ := conf.Check("wire", fset, files, nil) // without imports, which no constant needs
	values := map[string]int32{}
	for _, name := range pkg.Scope().Names() {
		c, ok := pkg.Scope().Lookup(name).(*types.Const)
		if ok && c.Exported() && strings.HasSuffix(c.Type().String(), "."+typeName) {
			v, _ := constant.Int64Val(c.Val())
			values[name] = int32(v)
		}
	}
	return values
}

func declares(g *ast.GenDecl, names ...string) bool {
	return g.Tok == token.TYPE && slices.ContainsFunc(g.Specs, func(s ast.Spec) bool {
		return slices.Contains(names, s.(*ast.TypeSpec).Name.Name)
	})
}

// TestOps: every operation has one row, in order, under a name of its own.
func TestOps(t *testing.T) {
	rows, names := map[int32]string{}, map[string]bool{}
	for i, row := range Ops() {
		if i > 0 && row.Op <= Ops()[i-1].Op {
			t.Errorf("%s does not come after %s by number", row.Name, Ops()[i-1].Name)
		}
		if row.Name == "" || names[row.Name] || row.Op.String() != row.Name {
			t.Errorf("name of op %d: %q", int32(row.Op), row.Name)
		}
		if row.Op.Index() != i || row.Op.Class() != row.Class || row.Op.Live() != row.Live {
			t.Errorf("%s is not found under its number", row.Name)
		}
		if found, ok := row.Op.Row(); !ok || found.Name != row.Name {
			t.Errorf("%s: row %q, %t", row.Name, found.Name, ok)
		}
		names[row.Name], rows[int32(row.Op)] = true, row.Name
	}
	constants := declared(t, "Op")
	for name, op := range constants {
		row := rows[op]
		if !strings.EqualFold(name, "Op"+row) {
			t.Errorf("constant %s = %d has row %q", name, op, row)
		}
	}
	if len(constants) != OpCount {
		t.Errorf("%d constants, %d rows", len(constants), OpCount)
	}
}

// TestOpsUnassigned: a number that is not assigned is nobody's.
func TestOpsUnassigned(t *testing.T) {
	for _, op := range []Op{-1 << 31, -12, -9, -2, 10, 23, 99, 108, 1<<31 - 1} {
		if _, ok := op.Row(); ok || op.Live() || op.Index() != -1 || op.Class() != ClassInternal {
			t.Errorf("%v is assigned", op)
		}
		if want := fmt.Sprintf("op %d", int32(op)); op.String() != want {
			t.Errorf("%s, want %s", op, want)
		}
	}
}

// TestOpsLive states which operations a client may send, apart from the table that says so too.
func TestOpsLive(t *testing.T) {
	refused := []Op{OpCreateSession, OpError, OpNotification, OpCheck, OpDeleteContainer}
	for _, row := range Ops() {
		if row.Live == slices.Contains(refused, row.Op) {
			t.Errorf("%s: live is %t", row.Name, row.Live)
		}
		if row.Live && row.Class == ClassInternal {
			t.Errorf("%s is live and internal", row.Name)
		}
	}
}

// TestOpsCodes: the codes of the `lop` field are those that operators' scripts know.
func TestOpsCodes(t *testing.T) {
	known := strings.Fields("PING SESS MULT MLTR CREA DELE SETD RECO SETA CLOS SYNC CHEC EXIS GETD " +
		"SETW STW2 ADDW GETA GETC GETACN CHKW REMW HOMI GETE NA")
	seen := map[string]bool{}
	for _, row := range Ops() {
		if !slices.Contains(known, row.Code) {
			t.Errorf("%s: %q", row.Name, row.Code)
		}
		seen[row.Code] = true
	}
	for _, code := range known {
		if !seen[code] {
			t.Errorf("no operation has %s", code)
		}
	}
}

func TestClassString(t *testing.T) {
	got := fmt.Sprint(ClassInternal, ClassRead, ClassWrite, ClassSession)
	if got != "internal read write session" {
		t.Error(got)
	}
}

// TestCodes: every code has one row, in order, under the name its constant has.
func TestCodes(t *testing.T) {
	constants, all := declared(t, "Code"), Codes()
	if len(constants) != len(all) {
		t.Errorf("%d constants, %d rows", len(constants), len(all))
	}
	for name, v := range constants {
		code := Code(v)
		want := strings.ToUpper(strings.TrimPrefix(name, "Code"))
		if code == CodeSessionClosedRequiresSASL {
			want = "SESSIONCLOSEDREQUIRESASLAUTH" // ZooKeeper's spelling
		}
		if code.String() != want {
			t.Errorf("%s is called %s", name, code.String())
		}
		if code.Error() == "" {
			t.Errorf("%s says nothing", name)
		}
	}
	if !slices.IsSortedFunc(all, func(a, b Code) int { return int(b) - int(a) }) {
		t.Error("not in order")
	}
}

func TestCodeErr(t *testing.T) {
	if CodeOK.Err() != nil {
		t.Error("OK is an error")
	}
	err := fmt.Errorf("get /a: %w", CodeNoNode.Err())
	if !errors.Is(err, CodeNoNode) || errors.Is(err, CodeNoAuth) {
		t.Error("a code is not matched by errors.Is")
	}
	if err.Error() != "get /a: node does not exist" {
		t.Error(err)
	}
	if s := Code(-126); s.String() != "CODE(-126)" || s.Error() != "error code -126" {
		t.Error(s.String(), s.Error())
	}
}
