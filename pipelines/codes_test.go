package pipelines

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// usedCodes reads the sources of this package for the codes that they report,
// and whether as errors or as warnings.
func usedCodes(t *testing.T) map[string][]string {
	t.Helper()
	used := map[string][]string{}
	add := func(e ast.Expr, how string) {
		lit, ok := e.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return
		}
		code, err := strconv.Unquote(lit.Value)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(code, " ") || code == "" {
			return // the hint of a local helper
		}
		if !slices.Contains(used[code], how) {
			used[code] = append(used[code], how)
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]int{"fail": 1, "failAt": 2, "warn": 1, "warnAt": 2, "add": 1}
	inspect := func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			name := ""
			switch f := n.Fun.(type) {
			case *ast.SelectorExpr:
				name = f.Sel.Name
			case *ast.Ident:
				name = f.Name
			}
			if i, ok := at[name]; ok && len(n.Args) > i+2 {
				how := map[string]string{"warn": "warning", "warnAt": "warning"}[name]
				if how == "" {
					how = "error"
				}
				add(n.Args[i], how)
			}
		case *ast.KeyValueExpr:
			if k, ok := n.Key.(*ast.Ident); ok && k.Name == "Code" {
				add(n.Value, "error")
			}
		case *ast.AssignStmt:
			if v, ok := n.Lhs[0].(*ast.Ident); ok && v.Name == "code" && len(n.Rhs) == 1 {
				add(n.Rhs[0], "error")
			}
		}
		return true
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, inspect)
	}
	return used
}
