package pipelines

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"unicode/utf8"
)

// Load reads the pipelines of files and folders, and checks them. Everything
// that is wrong is reported at once, in order of place; with errors the Set is
// what could be read of it, good for nothing but looking at. env gives the
// variables for ${VAR}; nil: none are set.
//
// A folder stands for its *.yaml and *.yml files, those named *_test.yaml left
// out: they hold tests (LoadTests).
func Load(paths []string, env func(string) (string, bool)) (*Set, Diagnostics) {
	return LoadWith(paths, LoadOptions{Env: env})
}

// LoadWith is Load with more to say.
func LoadWith(paths []string, o LoadOptions) (*Set, Diagnostics) {
	l := newLoader(o.Env)
	l.schemas.options = o
	set := &Set{}
	for _, path := range l.expand(paths) {
		for _, doc := range l.read(path) {
			set.Pipelines = append(set.Pipelines, l.pipeline(doc))
		}
	}
	l.finish(set)
	return set, l.diags.tidy()
}

// LoadBytes is Load for one file that is in memory already; name is what
// diagnostics call it.
func LoadBytes(name string, data []byte, env func(string) (string, bool)) (*Set, Diagnostics) {
	return LoadBytesWith(name, data, LoadOptions{Env: env})
}

// LoadBytesWith is LoadBytes with more to say.
func LoadBytesWith(name string, data []byte, o LoadOptions) (*Set, Diagnostics) {
	l := newLoader(o.Env)
	l.schemas.options = o
	set := &Set{}
	for _, doc := range l.parse(name, data) {
		set.Pipelines = append(set.Pipelines, l.pipeline(doc))
	}
	l.finish(set)
	return set, l.diags.tidy()
}

func (l *loader) finish(set *Set) {
	seen := map[string]Word{}
	for _, p := range set.Pipelines {
		if before, again := seen[p.Name.Text]; again && p.Name.Given() {
			l.fail(p.Name.node, "duplicate-name", "", "pipeline %q is there already: %s:%d", p.Name.Text, before.Pos.File, before.Pos.Line)
		}
		seen[p.Name.Text] = p.Name
		l.check(p)
	}
}

// loader collects what is wrong while it reads.
type loader struct {
	env   func(string) (string, bool)
	diags Diagnostics
	notes bool    // keep notes, too
	path  []*Kind // constructs around the one being read, outermost first

	schemas schemaFinder
}

func newLoader(env func(string) (string, bool)) *loader {
	if env == nil {
		env = func(string) (string, bool) { return "", false }
	}
	return &loader{env: env}
}

// fail reports an error at a node.
func (l *loader) fail(n *node, code, hint, format string, args ...any) {
	line, column := n.line, n.column
	if n.kind == scalarNode && n.anchor != "" {
		line, column = n.begin()
	}
	l.add(n.file, line, column, Diagnostic{Code: code, Hint: hint, Text: fmt.Sprintf(format, args...)})
}

// failAt reports an error at an offset of a scalar's text.
func (l *loader) failAt(n *node, off int, code, hint, format string, args ...any) {
	line, column := n.at(off)
	l.add(n.file, line, column, Diagnostic{Code: code, Hint: hint, Text: fmt.Sprintf(format, args...)})
}

// warn reports something that may be meant, but rarely is: a warning or a note,
// as its code is.
func (l *loader) warn(n *node, code, hint, format string, args ...any) {
	l.add(n.file, n.line, n.column, Diagnostic{Code: code, Hint: hint, Text: fmt.Sprintf(format, args...)})
}

func (l *loader) add(src *textFile, line, column int, d Diagnostic) {
	d.File, d.Line, d.Column, d.Source, d.Severity = src.name, line, column, src.line(line), severityOf(d.Code)
	if d.Hint == "" {
		d.Hint = hintOf(d.Code)
	}
	if d.Severity == Note && !l.notes {
		return
	}
	l.diags = append(l.diags, d)
}

// expand turns folders into their files.
func (l *loader) expand(paths []string) []string {
	var out []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			l.add(&textFile{name: path}, 0, 0, Diagnostic{Code: "file", Text: "cannot be read: " + reason(err)})
			continue
		}
		if !info.IsDir() {
			out = append(out, path)
			continue
		}
		files, err := pipelineFiles(path)
		if err != nil {
			l.add(&textFile{name: path}, 0, 0, Diagnostic{Code: "file", Text: "cannot be listed: " + reason(err)})
			continue
		}
		if len(files) == 0 {
			l.add(&textFile{name: path}, 0, 0, Diagnostic{Code: "file", Text: "no pipeline in this folder", Hint: "pipelines are files named *.yaml or *.yml"})
		}
		out = append(out, files...)
	}
	return out
}

func reason(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "no such file or folder"
	case errors.Is(err, fs.ErrPermission):
		return "permission denied"
	}
	return unwrapPath(err).Error()
}

func pipelineFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list pipelines: %w", err)
	}
	var out []string
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		base := strings.TrimSuffix(e.Name(), ext)
		if e.IsDir() || strings.HasPrefix(base, ".") || strings.HasSuffix(base, "_test") || (ext != ".yaml" && ext != ".yml") {
			continue
		}
		out = append(out, filepath.Join(dir, e.Name()))
	}
	sort.Strings(out)
	return out, nil
}

// read gives the documents of a file.
func (l *loader) read(path string) []*node {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxFileBytes {
		l.tooLong(path)
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		l.add(&textFile{name: path}, 0, 0, Diagnostic{Code: "file", Text: "cannot be read: " + reason(err)})
		return nil
	}
	return l.parse(path, data)
}

func (l *loader) tooLong(name string) {
	l.add(&textFile{name: name}, 0, 0, Diagnostic{Code: "limit", Text: "longer than 1 MiB: not a pipeline"})
}

func (l *loader) parse(name string, data []byte) []*node {
	if len(data) > maxFileBytes {
		l.tooLong(name)
		return nil
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	src := &textFile{name: name, lines: strings.Split(string(data), "\n")}
	if !utf8.Valid(data) {
		line, column := lineColumn(data, firstInvalid(data))
		l.add(src, line, column, Diagnostic{Code: "syntax", Text: "not UTF-8 text"})
		return nil
	}
	docs := parseYAML(src, data, func(n *node, code, hint, text string) {
		l.add(n.file, n.line, n.column, Diagnostic{Code: code, Hint: hint, Text: text})
	})
	if len(docs) == 0 && len(l.diags) == 0 {
		l.add(src, 0, 0, Diagnostic{Code: "file", Text: "no pipeline in this file", Hint: "a pipeline begins with version: 1 and name: …"})
	}
	return docs
}

func firstInvalid(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
	return len(data)
}

// fields is a mapping that was checked against its kind.
type fields struct {
	l    *loader
	node *node
	kind *Kind
}

// fields checks a mapping against the keys of its kind; nil when it is none.
// The caller reads the values, then calls done.
func (l *loader) fields(n *node, k *Kind) *fields {
	if n == nil {
		return nil
	}
	if n.kind != mappingNode {
		l.fail(n, "type", "", "%s is a mapping {key: value}, not %s", article(k.title()), n.what())
		return nil
	}
	guessed := map[string]bool{}
	for _, p := range n.pairs {
		if k.key(p.key.text) != nil {
			continue
		}
		hint, guess := l.unknown(p.key.text, k)
		guessed[guess] = true
		l.fail(p.key, "unknown-key", hint, "unknown key %q in %s", p.key.text, article(k.title()))
	}
	for _, key := range k.Keys {
		if key.Required && !n.has(key.Name) && !guessed[key.Name] && !(key.Unless != "" && n.has(key.Unless)) {
			l.fail(n, "missing-key", missingHint(k, key), "%s needs the key %q", article(k.title()), key.Name)
		}
	}
	l.path = append(l.path, k)
	return &fields{l: l, node: n, kind: k}
}

func (f *fields) done() { f.l.path = f.l.path[:len(f.l.path)-1] }

// get gives the value of a key; nil when it is absent or was reported already.
func (f *fields) get(name string) *node {
	if f.kind.key(name) == nil {
		panic("pipelines: " + f.kind.title() + " has no key " + name + " in kinds.go")
	}
	return f.node.get(name)
}

func (n *node) has(key string) bool {
	for _, p := range n.pairs {
		if p.key.text == key {
			return true
		}
	}
	return false
}

func missingHint(k *Kind, key Key) string {
	if k.Group == "window" && k.Name == "hopping" && key.Name == "advance" {
		return "a window that advances by its own size is type: tumbling"
	}
	if k.Group == "pipeline" && key.Name == "version" {
		return "write version: 1"
	}
	return ""
}

// unknown explains a key that the kind has not: another word for one of its
// keys, a key that belongs elsewhere, or a typo. guess is the key meant, if it
// is one of the kind's own.
func (l *loader) unknown(name string, k *Kind) (hint, guess string) {
	for _, key := range k.Keys {
		for _, not := range key.Not {
			if not == name {
				return fmt.Sprintf("did you mean %q?", key.Name), key.Name
			}
		}
	}
	if homes := k.homes(name); len(homes) > 0 {
		return fmt.Sprintf("%q belongs under %q", name, homes[0]), ""
	}
	for _, other := range kinds {
		if other.Group == k.Group && other != k && other.key(name) != nil {
			return fmt.Sprintf("%q is a key of %s", name, article(other.title())), ""
		}
	}
	for i := len(l.path) - 1; i >= 0; i-- {
		up := l.path[i]
		if up.key(name) != nil {
			return fmt.Sprintf("%q belongs to the %s around it: indent it less", name, up.title()), ""
		}
		if homes := up.homes(name); len(homes) > 0 && up.Group != "pipeline" {
			return fmt.Sprintf("%q belongs under %q of the %s", name, homes[0], up.title()), ""
		}
	}
	if near := nearest(name, k.names()); near != "" {
		return fmt.Sprintf("did you mean %q?", near), near
	}
	return didYouMean(name, k.names()), ""
}

// kind picks the kind of a group by its type: word. A kind that comes later is
// an error that says so.
func (l *loader) kind(n *node, group, fallback string) *Kind {
	if n.kind != mappingNode {
		l.fail(n, "type", "", "%s is a mapping {key: value}, not %s", article(group), n.what())
		return nil
	}
	at := n.get("type")
	name := fallback
	if at == nil {
		if n.has("type") {
			return nil
		}
		if fallback == "" {
			l.fail(n, "missing-key", "one of "+strings.Join(kindNames(group), ", "), "%s needs the key \"type\"", article(group))
			return nil
		}
	} else {
		var ok bool
		if name, ok = l.text(at); !ok {
			return nil
		}
	}
	k := findKind(group, name)
	if k == nil {
		l.fail(at, "value", didYouMean(name, kindNames(group)), "unknown %s type %s", group, shorten(at.raw()))
		return nil
	}
	return k
}

// list gives the items of a list.
func (l *loader) list(n *node, of string) []*node {
	if n == nil {
		return nil
	}
	if n.kind != sequenceNode {
		hint := ""
		if n.kind == scalarNode && !n.null {
			hint = fmt.Sprintf("write [%s]", n.raw())
		}
		l.fail(n, "type", hint, "a list of %s is needed here, not %s", of, n.what())
		return nil
	}
	return n.items
}

// columns is a list of column names, each once.
func (l *loader) columns(n *node) []Word {
	var out []Word
	seen := map[string]bool{}
	for _, item := range l.list(n, "columns") {
		w, ok := l.columnName(item)
		if !ok {
			continue
		}
		if seen[w.Text] {
			l.fail(item, "duplicate-name", "", "column %q is named twice", w.Text)
			continue
		}
		seen[w.Text] = true
		out = append(out, w)
	}
	return out
}

// pairs gives the pairs of a mapping with free keys.
func (l *loader) pairs(n *node, of string) []pair {
	if n == nil {
		return nil
	}
	if n.kind != mappingNode {
		l.fail(n, "type", "", "a mapping of %s is needed here, not %s", of, n.what())
		return nil
	}
	return n.pairs
}
