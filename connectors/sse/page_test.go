package sse

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPage runs the page's own tests, testdata/page, in node where there is
// one: the reducer, the client, what panels draw from.
func TestPage(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed: the page's modules are not tested")
	}
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "web"), os.DirFS("web")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "test"), os.DirFS("testdata/page")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"type":"module"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "test", "*.mjs"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests found: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), node, append([]string{"--test"}, files...)...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LANG=en_US.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("node --test: %v\n%s", err, out)
	}
}

// The documents are one skeleton: each has what the others have, and its own
// script, and nothing is left of what it was made from.
func TestPageDocuments(t *testing.T) {
	for _, name := range []string{"index", "dashboard", "ops"} {
		body, err := documentOf(name)
		if err != nil {
			t.Fatal(err)
		}
		doc := string(body)
		script := name
		if name == "dashboard" {
			script = "page"
		}
		for _, want := range []string{"<!doctype html>", `<html lang="en">`, `src="/assets/` + script + `.js"`, `<body class="` + name + `">`, `class="skip" href="#content"`,
			`id="content"`, `id="message"`, `id="notice"`, "<h1", "<noscript>", `id="who"`} {
			if n := strings.Count(doc, want); n != 1 {
				t.Errorf("%s has %q %d times, not once", name, want, n)
			}
		}
		if strings.Contains(doc, "{{") || !strings.HasPrefix(doc, "<!doctype") {
			t.Errorf("%s is not whole: %s", name, doc)
		}
	}
	if _, err := documentOf("nothing"); err == nil {
		t.Error("a document that is not there was made")
	}
}

// The page sets text only: a row's data is hostile.
func TestPageNeverSetsMarkup(t *testing.T) {
	err := filepath.WalkDir("web", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "http://", "https://", " style=\"", "onclick="} {
			if strings.Contains(strings.ReplaceAll(string(b), "http://www.w3.org/2000/svg", ""), bad) {
				t.Errorf("%s contains %q", path, bad)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
