package pipelines

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/leatstream/leat/engine"
)

// Edit is one change of a file's text that makes an expectation hold.
type Edit struct {
	File     string `json:"file"`
	Line     int    `json:"line"` // where it begins, from 1
	Old      string `json:"old"`
	New      string `json:"new"`
	from, to int    // bytes of the file's text, without BOM and carriage returns
}

// ApplyEdits writes edits into their files and returns those that it made:
// none twice (an anchored row is expected at several places).
func ApplyEdits(edits []Edit) ([]Edit, error) {
	byFile := map[string][]Edit{}
	var files []string
	for _, e := range edits {
		if byFile[e.File] == nil {
			files = append(files, e.File)
		}
		if !slices.Contains(byFile[e.File], e) {
			byFile[e.File] = append(byFile[e.File], e)
		}
	}
	var made []Edit
	for _, file := range files {
		done, err := applyTo(file, byFile[file])
		if err != nil {
			return made, fmt.Errorf("update %s: %w", file, err)
		}
		made = append(made, done...)
	}
	return made, nil
}

func applyTo(file string, edits []Edit) (made []Edit, err error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	const bom = "\ufeff"
	head := ""
	if bytes.HasPrefix(data, []byte(bom)) {
		head = bom
	}
	dos := bytes.Contains(data, []byte("\r\n"))
	text := strings.ReplaceAll(strings.TrimPrefix(string(data), bom), "\r\n", "\n")
	// From the end; at one place what is inserted comes before what is replaced.
	slices.SortStableFunc(edits, func(a, b Edit) int {
		if a.from != b.from {
			return b.from - a.from
		}
		return b.to - a.to
	})
	limit := len(text) + 1
	for _, e := range edits {
		if e.to > limit || e.to > len(text) || text[e.from:e.to] != e.Old {
			continue // the file has changed since, or another edit was here
		}
		text = text[:e.from] + e.New + text[e.to:]
		limit = e.from
		made = append(made, e)
	}
	slices.Reverse(made)
	if dos {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	return made, os.WriteFile(file, []byte(head+text), info.Mode().Perm())
}

// span is where a node stands in its file's text.
type span struct{ from, to int }

func (s *textFile) whole() string { return strings.Join(s.lines, "\n") }

// offset gives the byte of a place.
func (s *textFile) offset(line, column int) int {
	at := 0
	for _, l := range s.lines[:line-1] {
		at += len(l) + 1
	}
	return at + len(string([]rune(s.line(line))[:min(column-1, utf8.RuneCountInString(s.line(line)))]))
}

// span finds the text of a node; false where it is not written in one simple
// piece (anchors, aliases, block texts).
func (n *node) span() (s span, ok bool) {
	if n == nil || n.anchor != "" || n.joined || n.line < 1 || n.line > len(n.file.lines) {
		return s, false
	}
	text := n.file.whole()
	s.from = n.file.offset(n.line, n.column)
	rest := text[s.from:]
	switch {
	case n.flow:
		s.to = s.from + flowEnd(rest)
		return s, s.to > s.from
	case n.kind == scalarNode && n.quotes == plainText:
		word := n.text
		if n.null {
			word = regexp.MustCompile(`^(null|Null|NULL|~)?`).FindString(rest)
		}
		s.to = s.from + len(word)
		return s, word != "" && strings.HasPrefix(rest, word)
	case n.kind == scalarNode && n.quotes != blockText:
		s.to = s.from + quotedEnd(rest)
		return s, s.to > s.from
	case n.kind == scalarNode:
		return s, false
	}
	var last *node // of a block, the last value is its end
	if k := len(n.pairs); k > 0 {
		last = n.pairs[k-1].value
	} else if k := len(n.items); k > 0 {
		last = n.items[k-1]
	}
	if last == nil {
		return s, false
	}
	end, ok := last.span()
	if !ok || end.to <= s.from {
		return s, false
	}
	s.to = end.to
	return s, true
}

// quotedEnd is the length of the quoted scalar at the beginning of text; 0: it
// does not end.
func quotedEnd(text string) int {
	for i := 1; i < len(text); i++ {
		switch {
		case text[0] == '"' && text[i] == '\\':
			i++
		case text[i] != text[0]:
		case text[0] == '\'' && i+1 < len(text) && text[i+1] == '\'':
			i++
		default:
			return i + 1
		}
	}
	return 0
}

// flowEnd is the length of the {…} or […] at the beginning of text.
func flowEnd(text string) int {
	depth, before := 0, byte(',')
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case (c == '"' || c == '\'') && strings.IndexByte("[{,:", before) >= 0:
			n := quotedEnd(text[i:])
			if n == 0 {
				return 0
			}
			i += n - 1
		case c == '#' && i > 0 && (text[i-1] == ' ' || text[i-1] == '\n'):
			for i+1 < len(text) && text[i+1] != '\n' {
				i++
			}
			continue
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		if c != ' ' && c != '\n' && c != '\t' {
			before = c
		}
	}
	return 0
}

// edit notes a change.
func (r *runner) edit(file *textFile, s span, text string) {
	whole := file.whole()
	if whole[s.from:s.to] == text {
		return
	}
	r.edits = append(r.edits, Edit{File: file.name, Line: 1 + strings.Count(whole[:s.from], "\n"), Old: whole[s.from:s.to], New: text, from: s.from, to: s.to})
}

// number replaces a count.
func (r *runner) number(n *node, value int) {
	if s, ok := n.span(); ok && r.update {
		r.edit(n.file, s, strconv.Itoa(value))
	}
}

// rewriteRow makes an expected row say what a result has, in the columns named.
func (r *runner) rewriteRow(in *stream, w wanted, g Result) {
	if !r.update || !hasHeaders(g, w.headers) {
		return
	}
	whole, ok := w.node.span()
	if !ok {
		return
	}
	row, deleted := g.row()
	leaves, simple := rowLeaves(in, w.node, w.deleted)
	if deleted != w.deleted || !simple {
		if text, ok := rowYAML(in, namesOf(leaves), g); ok {
			r.edit(w.node.file, whole, text)
		}
		return
	}
	for _, leaf := range leaves {
		v, _ := w.column(g, row, leaf.path)
		if equal(w.row[leaf.path], v) {
			continue
		}
		s, ok := leaf.value.span()
		text, known := columnYAML(in, leaf.path, v)
		if ok && known && s.from >= whole.from && s.to <= whole.to {
			r.edit(w.node.file, s, text)
		}
	}
}

type leaf struct {
	path  string
	value *node
}

// rowLeaves are the columns that a row names, with their values.
func rowLeaves(in *stream, n *node, deleted bool) (out []leaf, simple bool) {
	if n.kind == scalarNode {
		return []leaf{{"value", n}}, true
	}
	if deleted {
		if n = n.get("key"); n.kind == scalarNode {
			return []leaf{{"key", n}}, true
		}
	}
	simple = true
	var walk func(n *node, prefix string)
	walk = func(n *node, prefix string) {
		for _, pr := range n.pairs {
			path := prefix + pr.key.text
			if pr.value == nil {
				simple = false
				continue
			}
			if pr.value.kind == mappingNode && in.schema.Lookup(path) < 0 && hasInside(in.schema, path) {
				walk(pr.value, path+".")
				continue
			}
			out = append(out, leaf{path, pr.value})
		}
	}
	walk(n, "")
	return out, simple
}

func namesOf(leaves []leaf) []string {
	var out []string
	for _, l := range leaves {
		out = append(out, l.path)
	}
	return out
}

// rewriteRows makes the list of values: be what there is.
func (r *runner) rewriteRows(e *Expectation, in *stream, want []wanted, got []Result, a alignment) {
	if !r.update {
		return
	}
	for _, g := range got {
		if !hasHeaders(g, e.Headers) {
			return // not for want of a row
		}
	}
	list := e.node.get("values")
	var columns []string
	for _, w := range want {
		leaves, _ := rowLeaves(in, w.node, w.deleted)
		for _, name := range namesOf(leaves) {
			if !w.deleted && !slices.Contains(columns, name) {
				columns = append(columns, name)
			}
		}
	}
	if columns == nil {
		columns = in.schema.Names()
	}
	l := listEdit{runner: r, list: list, rows: want}
	if !l.open() {
		return
	}
	add := func(k int) bool {
		for _, j := range a.behind[k] {
			text, ok := rowYAML(in, columns, got[j])
			if !ok {
				return false
			}
			l.add(k, text)
		}
		return true
	}
	if !add(-1) {
		return
	}
	for i, w := range want {
		if j := a.pair[i]; j < 0 {
			l.drop(i)
		} else if !w.matches(got[j]) {
			r.rewriteRow(in, w, got[j])
		}
		if !add(i) {
			return
		}
	}
	l.write()
}

// listEdit adds and drops rows of a list in its own style.
type listEdit struct {
	*runner
	list    *node
	rows    []wanted
	spans   []span
	dropped []bool
	added   map[int][]string // behind which row; -1: before all
	text    string
}

func (l *listEdit) open() bool {
	l.text, l.added, l.dropped = l.list.file.whole(), map[int][]string{}, make([]bool, len(l.rows))
	for _, w := range l.rows {
		s, ok := w.node.span()
		if !ok || len(l.spans) > 0 && s.from < l.spans[len(l.spans)-1].to {
			return false
		}
		l.spans = append(l.spans, s)
	}
	_, ok := l.list.span()
	return ok
}

func (l *listEdit) add(behind int, text string) { l.added[behind] = append(l.added[behind], text) }
func (l *listEdit) drop(i int)                  { l.dropped[i] = true }

func (l *listEdit) write() {
	if slices.Contains(l.dropped, true) || len(l.added) > 0 {
		if l.list.flow {
			l.writeFlow()
		} else {
			l.writeBlock()
		}
	}
}

// writeFlow: a dropped row goes with the comma behind it; at the end of the
// list with that before it.
func (l *listEdit) writeFlow() {
	file, n, kept := l.list.file, len(l.spans), -1
	var front []string // before the first row that is kept
	for i := -1; i < n; i++ {
		if i >= 0 && !l.dropped[i] {
			kept = i
		}
		if kept < 0 {
			front = append(front, l.added[i]...)
		} else if texts := l.added[i]; len(texts) > 0 {
			at := l.spans[kept].to
			l.edit(file, span{at, at}, ", "+strings.Join(texts, ", "))
		}
	}
	if kept < 0 {
		s, _ := l.list.span()
		l.edit(file, s, "["+strings.Join(front, ", ")+"]")
		return
	}
	if len(front) > 0 {
		first := slices.Index(l.dropped, false)
		at := l.spans[first].from
		l.edit(file, span{at, at}, strings.Join(front, ", ")+", ")
	}
	for i := 0; i < n; i++ {
		if !l.dropped[i] {
			continue
		}
		j := i
		for j+1 < n && l.dropped[j+1] {
			j++
		}
		if j+1 < n {
			l.edit(file, span{l.spans[i].from, l.spans[j+1].from}, "")
		} else {
			l.edit(file, span{l.spans[i-1].to, l.spans[j].to}, "")
		}
		i = j
	}
}

// writeBlock: a row is its lines, from the dash on.
func (l *listEdit) writeBlock() {
	file := l.list.file
	start := func(i int) int { return strings.LastIndexByte(l.text[:l.spans[i].from], '\n') + 1 }
	end := func(i int) int {
		if k := strings.IndexByte(l.text[l.spans[i].to:], '\n'); k >= 0 {
			return l.spans[i].to + k + 1
		}
		return len(l.text)
	}
	for i := range l.spans {
		if strings.TrimSpace(l.text[start(i):l.spans[i].from]) != "-" {
			return // several dashes in a line
		}
	}
	dash := l.text[start(0):l.spans[0].from]
	if all := !slices.Contains(l.dropped, false); all && len(l.added) == 0 {
		for _, pr := range l.list.file.above(l.list) {
			l.edit(file, span{pr, pr}, " []")
		}
	}
	for i := -1; i < len(l.spans); i++ {
		at := start(0)
		if i >= 0 {
			at = end(i)
		}
		for _, text := range l.added[i] {
			lead := ""
			if at == len(l.text) && !strings.HasSuffix(l.text, "\n") {
				lead = "\n"
			}
			l.edit(file, span{at, at}, lead+dash+text+"\n")
		}
		if i >= 0 && l.dropped[i] {
			l.edit(file, span{start(i), end(i)}, "")
		}
	}
}

// above is the place behind the colon of the key that a block list stands under.
func (s *textFile) above(list *node) []int {
	at := s.offset(list.line, 1)
	before := strings.TrimRight(s.whole()[:at], " \n")
	if strings.HasSuffix(before, ":") {
		return []int{len(before)}
	}
	return nil
}

// rowYAML is a result as an expected row of these columns.
func rowYAML(in *stream, columns []string, g Result) (string, bool) {
	row, deleted := g.row()
	if deleted && row == nil {
		return "{key: " + textYAML(string(g.Key)) + ", deleted: true}", utf8.Valid(g.Key)
	}
	var parts []string
	if deleted {
		columns = nil
		for _, name := range in.schema.Names() {
			if _, there := lookColumn(row, name); there {
				columns = append(columns, name)
			}
		}
	}
	for _, name := range columns {
		v, _ := lookColumn(row, name)
		text, ok := columnYAML(in, name, v)
		if !ok {
			return "", false
		}
		parts = append(parts, name+": "+text)
	}
	text := "{" + strings.Join(parts, ", ") + "}"
	if deleted {
		text = "{key: " + text + ", deleted: true}"
	}
	return text, true
}

// columnYAML is a value as one writes it under its column.
func columnYAML(in *stream, column string, v any) (string, bool) {
	t := engine.Any
	if i := in.schema.Lookup(column); i >= 0 {
		t = in.schema.Fields[i].Type
	}
	s, isText := v.(string)
	switch {
	case v == nil:
		return "null", true
	case t == engine.Timestamp:
		ms, err := int64(0), error(nil)
		if isText {
			at, wrong := time.Parse(time.RFC3339Nano, s)
			ms, err = at.UnixMilli(), wrong
		} else {
			ms, err = strconv.ParseInt(fmt.Sprint(v), 10, 64)
		}
		return clockTime(ms), err == nil
	case t == engine.Bytes && isText:
		raw, err := base64.StdEncoding.DecodeString(s)
		return textYAML(string(raw)), err == nil && utf8.Valid(raw)
	case t == engine.Any || !isText:
		return anyYAML(v), true
	case t == engine.Int || t == engine.Double:
		return s, true // a large int as text
	}
	return textYAML(s), true
}

// anyYAML is a value whose type must show.
func anyYAML(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		if _, text := constant(v, false).(string); !text {
			return strconv.Quote(v)
		}
		return textYAML(v)
	case []any:
		var parts []string
		for _, item := range v {
			parts = append(parts, anyYAML(item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		var parts []string
		for _, name := range sortedKeys(v) {
			parts = append(parts, textYAML(name)+": "+anyYAML(v[name]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case json.Number:
		return v.String()
	}
	return fmt.Sprint(v)
}

func sortedKeys(m map[string]any) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// plainYAML are texts that mean themselves without quotes, in {…} as well.
var plainYAML = regexp.MustCompile(`^[A-Za-z0-9_./+][A-Za-z0-9_./+ @-]*$`)

func textYAML(s string) string {
	if plainYAML.MatchString(s) && !strings.HasSuffix(s, " ") && !strings.EqualFold(s, "null") {
		return s
	}
	return string(engine.AppendString(nil, s))
}
