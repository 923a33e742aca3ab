package pipelines

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

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
