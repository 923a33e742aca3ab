package pipelines

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// This file is the only one that knows the YAML library. It turns the bytes of
// a file into nodes of ours: aliases followed, merge keys merged, duplicate
// keys and custom tags reported. Nothing is decoded into Go values.

// report receives a finding about a place in a file.
type report func(n *node, code, hint, text string)

// parseYAML reads all documents of a file. A syntax error is the only thing
// reported then, as what follows it means nothing.
func parseYAML(src *textFile, data []byte, add report) []*node {
	docs, err := decodeAll(data)
	if err != nil {
		line, column, text, hint := explainSyntax(data, err)
		add(&node{file: src, line: line, column: column}, "syntax", hint, text)
		return nil
	}
	var out []*node
	c := &converter{src: src, add: add, open: map[*yaml.Node]bool{}}
	for _, d := range docs {
		if len(d.Content) == 0 || (d.Content[0].Kind == yaml.ScalarNode && d.Content[0].Tag == "!!null" && d.Content[0].Value == "") {
			continue // an empty document: a lone --- or comments
		}
		c.used = usedAnchors(d)
		if n := c.convert(d.Content[0], 0, true); n != nil {
			out = append(out, n)
		}
		if c.over {
			return nil
		}
	}
	return out
}

// decodeAll runs the library; its panics on malformed input become errors.
func decodeAll(data []byte) (docs []*yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			docs, err = nil, fmt.Errorf("yaml: %v", r)
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var d yaml.Node
		if err := dec.Decode(&d); err != nil {
			if errors.Is(err, io.EOF) {
				return docs, nil
			}
			return nil, err
		}
		docs = append(docs, &d)
	}
}

// converter makes nodes of one file.
type converter struct {
	src   *textFile
	add   report
	nodes int
	over  bool // a limit was passed: reported once, the file is not read further
	open  map[*yaml.Node]bool
	used  map[string]bool
}

// usedAnchors lists the anchors that some alias names.
func usedAnchors(root *yaml.Node) map[string]bool {
	used := map[string]bool{}
	var walk func(*yaml.Node)
	walk = func(y *yaml.Node) {
		if y.Kind == yaml.AliasNode {
			used[y.Value] = true
			return
		}
		for _, c := range y.Content {
			walk(c)
		}
	}
	walk(root)
	return used
}

func (c *converter) fail(y *yaml.Node, code, hint, text string) {
	c.add(&node{file: c.src, line: y.Line, column: y.Column}, code, hint, text)
}

func (c *converter) limit(y *yaml.Node, text string) *node {
	if !c.over {
		c.over = true
		c.fail(y, "limit", "", text)
	}
	return nil
}

// convert gives nil where the node is unusable; that has been reported.
func (c *converter) convert(y *yaml.Node, depth int, top bool) *node {
	if c.over {
		return nil
	}
	c.nodes++
	if c.nodes > maxNodes {
		return c.limit(y, fmt.Sprintf("more than %d values in one file, aliases followed", maxNodes))
	}
	if depth > maxDepth {
		return c.limit(y, fmt.Sprintf("nested more than %d deep", maxDepth))
	}
	if y.Kind == yaml.AliasNode {
		if c.open[y.Alias] {
			c.fail(y, "alias", "", fmt.Sprintf("alias *%s is inside its own anchor", y.Value))
			return nil
		}
		return c.convert(y.Alias, depth, false)
	}
	n := &node{file: c.src, line: y.Line, column: y.Column, anchor: y.Anchor, flow: y.Style&yaml.FlowStyle != 0}
	if y.Style&yaml.TaggedStyle != 0 {
		return c.tagged(y)
	}
	if y.Anchor != "" {
		c.open[y] = true
		defer delete(c.open, y)
	}
	switch y.Kind {
	case yaml.ScalarNode:
		n.text = y.Value
		n.quotes = quotingOf(y.Style)
		n.null = n.quotes == plainText && y.Tag == "!!null"
		if n.null {
			n.text = ""
		}
		if y.Anchor != "" && !c.used[y.Anchor] && !n.null {
			c.fail(y, "eaten", fmt.Sprintf("to YAML a leading & names an anchor: quote the whole text, or remove \"&%s\"", y.Anchor),
				fmt.Sprintf("YAML takes \"&%s\" off this text, and no alias uses it", y.Anchor))
			return nil
		}
	case yaml.SequenceNode:
		n.kind = sequenceNode
		for _, item := range y.Content {
			if v := c.convert(item, depth+1, false); v != nil {
				n.items = append(n.items, v)
			}
		}
		if n.flow {
			n.items = c.joinItems(n.items)
		}
	case yaml.MappingNode:
		n.kind = mappingNode
		c.mapping(y, n, depth, top)
	}
	return n
}

func quotingOf(s yaml.Style) quoting {
	switch {
	case s&yaml.SingleQuotedStyle != 0:
		return singleQuoted
	case s&yaml.DoubleQuotedStyle != 0:
		return doubleQuoted
	case s&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return blockText
	}
	return plainText
}

// tagged reports a custom tag, which most often is an expression's "not".
func (c *converter) tagged(y *yaml.Node) *node {
	name := strings.TrimPrefix(y.Tag, "!")
	if strings.HasPrefix(y.Tag, "!!") {
		c.fail(y, "tag", "remove it: the key decides the type of what stands under it", fmt.Sprintf("the YAML tag %q is not used here", y.Tag))
		return nil
	}
	whole := y.Tag
	if y.Kind == yaml.ScalarNode && y.Value != "" {
		whole += " " + y.Value
	}
	c.fail(y, "tag", fmt.Sprintf("to YAML a leading ! is a tag: write \"not %s\", or quote: '%s'",
		strings.TrimSpace(strings.TrimPrefix(whole, "!")), whole), fmt.Sprintf("unknown YAML tag %q", "!"+name))
	return nil
}

// mapping converts pairs: own keys, then what merge keys bring beside them.
func (c *converter) mapping(y *yaml.Node, n *node, depth int, top bool) {
	var merged []pair
	first := map[string]*node{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		ky, vy := y.Content[i], y.Content[i+1]
		if ky.Kind == yaml.ScalarNode && ky.Tag == "!!merge" {
			merged = append(merged, c.merge(vy, depth)...)
			continue
		}
		if top && ky.Kind == yaml.ScalarNode && strings.HasPrefix(ky.Value, "x-") {
			continue // the place for anchors; what aliases take from it is read there
		}
		if ky.Kind != yaml.ScalarNode {
			c.fail(ky, "type", "quote the key if it is meant as text", "a key must be a plain text")
			continue
		}
		key := c.convert(ky, depth+1, false)
		if key == nil {
			continue
		}
		if key.null && ky.Value != "" {
			key.null, key.text = false, ky.Value // a column may be called null or ~
		}
		value := c.convert(vy, depth+1, false)
		if value == nil {
			// Unusable and reported; the key still counts as given.
			n.pairs = append(n.pairs, pair{key, nil})
			first[key.text] = key
			continue
		}
		if before, again := first[key.text]; again {
			c.add(key, "duplicate-key", fmt.Sprintf("the first stands in line %d", before.line), fmt.Sprintf("key %q is given twice", key.text))
			continue
		}
		first[key.text] = key
		n.pairs = append(n.pairs, pair{key, value})
	}
	for _, p := range merged {
		if first[p.key.text] == nil {
			first[p.key.text] = p.key
			n.pairs = append(n.pairs, p)
		}
	}
	if n.flow {
		n.pairs = c.joinPairs(n.pairs)
	}
}

// merge gives the pairs that `<<: *anchor` or `<<: [*a, *b]` brings.
func (c *converter) merge(y *yaml.Node, depth int) []pair {
	v := c.convert(y, depth+1, false)
	if v == nil {
		return nil
	}
	parts := []*node{v}
	if v.kind == sequenceNode {
		parts = v.items
	}
	var out []pair
	for _, p := range parts {
		if p.kind != mappingNode {
			c.fail(y, "type", "", "<< merges mappings: it needs *alias or [*alias, …]")
			return nil
		}
		out = append(out, p.pairs...)
	}
	return out
}

// joinPairs finds values that a comma has split in flow style:
// {p95: quantile(amount, 0.95)} is p95: "quantile(amount" and "0.95)": null.
func (c *converter) joinPairs(pairs []pair) []pair {
	var out []pair
	for i := 0; i < len(pairs); i++ {
		p := pairs[i]
		out = append(out, p)
		if p.value == nil || !splitByComma(p.value) {
			continue
		}
		whole, open, j := p.value.text, openBrackets(p.value.text), i+1
		for ; j < len(pairs) && open > 0; j++ {
			q := pairs[j]
			part := q.key.text
			if q.value != nil && !q.value.null {
				part += ": " + q.value.text
			}
			whole += ", " + part
			open += openBrackets(part)
		}
		if open != 0 {
			continue
		}
		c.add(p.value, "comma", fmt.Sprintf("quote it: %s: %s", p.key.text, quoted(whole)), "in { } a comma ends the value: YAML cuts this expression in two")
		p.value.text, p.value.joined = whole, true
		i = j - 1
	}
	return out
}

// joinItems is joinPairs for lists.
func (c *converter) joinItems(items []*node) []*node {
	var out []*node
	for i := 0; i < len(items); i++ {
		n := items[i]
		out = append(out, n)
		if !splitByComma(n) {
			continue
		}
		whole, open, j := n.text, openBrackets(n.text), i+1
		for ; j < len(items) && open > 0 && items[j].kind == scalarNode; j++ {
			whole += ", " + items[j].text
			open += openBrackets(items[j].text)
		}
		if open != 0 {
			continue
		}
		c.add(n, "comma", "quote it: "+quoted(whole), "in [ ] a comma ends the item: YAML cuts this expression in two")
		n.text, n.joined = whole, true
		i = j - 1
	}
	return out
}

func splitByComma(n *node) bool {
	return n.kind == scalarNode && n.quotes == plainText && strings.Contains(n.text, "(") && openBrackets(n.text) > 0
}

// quoted is the text as a YAML scalar in single quotes.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

var libraryPrefix = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// explainSyntax finds the place of a syntax error and puts it in plain words.
// The library names a line, often one off or the beginning of the block, and no
// column; so we look ourselves for the shortest beginning of the file that no
// closing brackets can mend.
func explainSyntax(data []byte, err error) (line, column int, text, hint string) {
	text = strings.TrimPrefix(libraryPrefix.ReplaceAllString(err.Error(), ""), "internal error: ")
	if name, ok := strings.CutPrefix(text, "unknown anchor '"); ok {
		return explainAnchor(data, strings.TrimSuffix(name, "' referenced"))
	}
	const mostBytes = 64 << 10 // beyond, parsing it some thirty times takes seconds
	if len(data) > mostBytes {
		line, column = lineColumn(data, consumed(data))
		source := string(bytes.Split(data, []byte("\n"))[line-1])
		return plainWords(line, column, source, text)
	}
	lines := strings.SplitAfter(string(data), "\n")
	fits := func(prefix string) bool {
		_, err := decodeAll([]byte(prefix))
		if err == nil {
			return true
		}
		_, err = decodeAll([]byte(prefix + closers(prefix)))
		return err == nil
	}
	good := bisect(len(lines), func(n int) bool { return fits(strings.Join(lines[:n], "")) })
	if good >= len(lines) { // only the end is missing
		off, what := unclosed(string(data))
		line, column = lineColumn(data, off)
		return line, column, "the " + what + " that opens here is never closed", ""
	}
	head := strings.Join(lines[:good], "")
	if stack, _ := scanOpen(head); len(stack) > 0 && outdented(head, stack[len(stack)-1].off, lines[good]) {
		off, what := unclosed(head)
		line, column = lineColumn(data, off)
		return line, column, fmt.Sprintf("the %s that opens here is not closed before line %d", what, good+1), ""
	}
	bad := []rune(strings.TrimRight(lines[good], "\r\n"))
	const mostColumns = 2000
	column = 1 + bisect(min(len(bad), mostColumns), func(n int) bool { return fits(head + string(bad[:n])) })
	column = min(column, max(len(bad), 1))
	return plainWords(good+1, column, string(bad), text)
}

// consumed is how far the library reads before it gives up: the place of the
// error, or a little beyond.
func consumed(data []byte) int {
	r := &byteReader{data: data}
	defer func() { _ = recover() }() // it has panicked already in decodeAll, or not
	dec := yaml.NewDecoder(r)
	for {
		var d yaml.Node
		if dec.Decode(&d) != nil {
			break
		}
	}
	return len(bytes.TrimRight(data[:r.n], " \n"))
}

// byteReader gives one byte at a time, so that nothing is read ahead.
type byteReader struct {
	data []byte
	n    int
}

func (r *byteReader) Read(p []byte) (int, error) {
	if r.n == len(r.data) || len(p) == 0 {
		return 0, io.EOF
	}
	p[0] = r.data[r.n]
	r.n++
	return 1, nil
}

// outdented tells whether a line goes back to where the line of an opener
// began, or farther: the block goes on, so the bracket was meant to be closed.
func outdented(head string, off int, line string) bool {
	start := strings.LastIndexByte(head[:off], '\n') + 1
	indent := func(s string) int { return len(s) - len(strings.TrimLeft(s, " ")) }
	return strings.TrimSpace(line) != "" && indent(line) <= indent(head[start:])
}

// bisect finds the largest n in [0, limit] for which ok holds, ok being true up
// to it and false above.
func bisect(limit int, ok func(int) bool) int {
	low, high := 0, limit+1 // ok(low), not ok(high)
	for high-low > 1 {
		mid := (low + high) / 2
		if ok(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	return low
}

func plainWords(line, column int, source, problem string) (int, int, string, string) {
	indent := len(source) - len(strings.TrimLeft(source, " \t"))
	first := ' '
	if runes := []rune(source); column <= len(runes) {
		first = runes[column-1]
	}
	switch {
	case first == '!' || first == '&' || first == '*':
		what := map[rune]string{'!': "a tag", '&': "an anchor", '*': "an alias"}[first]
		return line, column, fmt.Sprintf("to YAML a leading %c is %s", first, what), "quote the text"
	case strings.Contains(source[:indent], "\t"):
		return line, strings.Index(source, "\t") + 1, "a tab indents this line: YAML allows spaces only", "replace the tab by spaces"
	case strings.Contains(source, " ? ") && strings.Contains(source, " : "):
		return line, strings.Index(source, " ? ") + 2, "YAML reads ` ? ` and ` : ` as its own", "quote the whole expression: '… ? … : …'"
	case first == '?' || strings.Contains(source, " ?? "):
		return line, column, "in { } and [ ] YAML takes ? as its own", "quote the whole expression: '… ?? …'"
	case strings.Contains(problem, "mapping values are not allowed"):
		return line, column, "a `: ` where no key can stand", "quote the text if it contains `: `, or check the indentation"
	case strings.Contains(problem, "cannot start any token"):
		return line, column, "no text can start with this character unless it is quoted", "quote the text"
	case strings.Contains(problem, "did not find expected key"), strings.Contains(problem, "did not find expected '-' indicator"):
		return line, column, "this line does not fit into the block above it", "check its indentation, and quotes or brackets before it"
	case strings.Contains(problem, "could not find expected ':'"):
		return line, column, "a key without its `:`", "write `key: value`, and check the indentation"
	case strings.Contains(problem, "did not find expected ','"):
		return line, column, "a `,` or the closing bracket is missing here", "quote texts that contain brackets, commas or `: `"
	}
	return line, column, problem, ""
}

// explainAnchor places an alias whose anchor does not exist.
func explainAnchor(data []byte, name string) (line, column int, text, hint string) {
	re := regexp.MustCompile(`\*` + regexp.QuoteMeta(name) + `(?:[^A-Za-z0-9_-]|$)`)
	off := 0
	if at := re.FindIndex(data); at != nil {
		off = at[0]
	}
	line, column = lineColumn(data, off)
	return line, column, fmt.Sprintf("alias *%s has no anchor &%s before it", name, name),
		"define the anchor first; if * belongs to an expression, quote the expression"
}

// lineColumn turns a byte offset into line and column.
func lineColumn(data []byte, off int) (line, column int) {
	off = min(off, len(data))
	head := data[:off]
	start := bytes.LastIndexByte(head, '\n') + 1
	return bytes.Count(head, []byte("\n")) + 1, utf8.RuneCount(head[start:]) + 1
}

// closers gives what would close the quotes and brackets that text leaves open.
func closers(text string) string {
	stack, quote := scanOpen(text)
	var b strings.Builder
	if quote.char != 0 {
		b.WriteByte(quote.char)
	}
	for i := len(stack) - 1; i >= 0; i-- {
		b.WriteByte(map[byte]byte{'{': '}', '[': ']'}[stack[i].char])
	}
	return b.String()
}

// unclosed is the offset of the innermost opener that nothing closes.
func unclosed(text string) (off int, what string) {
	stack, quote := scanOpen(text)
	if quote.char != 0 {
		return quote.off, "quote " + strconv.QuoteRune(rune(quote.char))
	}
	if len(stack) > 0 {
		return stack[len(stack)-1].off, "bracket " + strconv.QuoteRune(rune(stack[len(stack)-1].char))
	}
	return len(strings.TrimRight(text, "\n")), "block"
}

type opener struct {
	char byte
	off  int
}

// scanOpen walks YAML text roughly: brackets open a flow collection only where a
// value can start, quotes likewise, a # after white space is a comment.
func scanOpen(text string) (stack []opener, quote opener) {
	start := true // a value may start here
	for i := 0; i < len(text); i++ {
		c := text[i]
		if quote.char != 0 {
			switch {
			case c == '\\' && quote.char == '"':
				i++
			case c == '\'' && quote.char == '\'' && i+1 < len(text) && text[i+1] == '\'':
				i++
			case c == quote.char:
				quote = opener{}
			}
			continue
		}
		switch {
		case c == '#' && (i == 0 || text[i-1] == ' ' || text[i-1] == '\n' || text[i-1] == '\t'):
			for i+1 < len(text) && text[i+1] != '\n' {
				i++
			}
		case (c == '"' || c == '\'') && start:
			quote, start = opener{c, i}, false
		case (c == '{' || c == '[') && (start || len(stack) > 0):
			stack, start = append(stack, opener{c, i}), true
		case (c == '}' || c == ']') && len(stack) > 0:
			stack, start = stack[:len(stack)-1], false
		case c == '\n' || (c == ',' && len(stack) > 0):
			start = true
		case c == ' ' || c == '\t':
			if i > 0 && (text[i-1] == ':' || text[i-1] == '-' || text[i-1] == ',') {
				start = true
			}
		default:
			start = false
		}
	}
	return stack, quote
}
