package pipelines

import (
	"strings"
	"unicode/utf8"
)

// Limits of one file. They bound what a hostile or runaway file can cost.
const (
	maxFileBytes = 1 << 20
	maxDepth     = 64
	maxNodes     = 100_000 // after aliases have been followed
)

type nodeKind uint8

const (
	scalarNode nodeKind = iota
	mappingNode
	sequenceNode
)

// quoting is how a scalar was written.
type quoting uint8

const (
	plainText quoting = iota
	singleQuoted
	doubleQuoted
	blockText // | or >
)

// node is one value of a file with its position. Scalars keep their text; what
// type a text has is decided by the key it stands under, never by YAML.
type node struct {
	file   *textFile
	kind   nodeKind
	line   int // from 1
	column int // from 1, in characters
	text   string
	quotes quoting
	null   bool   // plain null, ~ or nothing
	flow   bool   // written as {…} or […]
	anchor string // &anchor before it
	joined bool   // put together again after a comma had split it: already reported
	pairs  []pair
	items  []*node
}

type pair struct{ key, value *node }

// textFile is a file's name and lines, for diagnostics.
type textFile struct {
	name  string
	lines []string
}

func (s *textFile) line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	return s.lines[n-1]
}

// get finds the value of a key in a mapping, or nil.
func (n *node) get(key string) *node {
	for _, p := range n.pairs {
		if p.key.text == key {
			return p.value
		}
	}
	return nil
}

// what names the node's kind in messages.
func (n *node) what() string {
	switch {
	case n.kind == mappingNode:
		return "a mapping"
	case n.kind == sequenceNode:
		return "a list"
	case n.null:
		return "nothing"
	}
	return "the text " + shorten(n.raw())
}

// raw is the scalar as the file has it, before anything was replaced.
func (n *node) raw() string { return n.text }

func shorten(s string) string {
	const most = 40 // characters: one line of a terminal with room for the message
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most]) + "…"
	}
	return `"` + strings.ReplaceAll(s, "\n", " ") + `"`
}

// at gives the place in the file of byte offset off of the scalar's text, as
// exactly as its quoting allows: texts folded over several lines give their
// beginning.
func (n *node) at(off int) (line, column int) {
	line, column = n.begin()
	if n.quotes == blockText {
		return n.atBlock(off)
	}
	src := []rune(n.file.line(line))
	i := column - 1
	if n.quotes == singleQuoted || n.quotes == doubleQuoted {
		i++
	}
	text := n.text
	for pos := 0; pos < off && pos < len(text); {
		if i >= len(src) {
			return line, column // goes on in the next line
		}
		r, size := utf8.DecodeRuneInString(text[pos:])
		switch {
		case n.quotes == singleQuoted && r == '\'':
			i += 2
		case n.quotes == doubleQuoted && src[i] == '\\':
			i += escapeWidth(src[i:])
		case src[i] != r:
			return line, column
		default:
			i++
		}
		pos += size
	}
	return line, i + 1
}

// begin is where the scalar's own text starts: behind an anchor, if it has one.
func (n *node) begin() (line, column int) {
	if n.anchor == "" {
		return n.line, n.column
	}
	src := []rune(n.file.line(n.line))
	i := n.column - 1 + 1 + utf8.RuneCountInString(n.anchor)
	for i < len(src) && src[i] == ' ' {
		i++
	}
	if i >= len(src) {
		return n.line, n.column
	}
	return n.line, i + 1
}

// atBlock is at for | and >: the text starts on the next line that is not
// blank, indented as that line is.
func (n *node) atBlock(off int) (line, column int) {
	first := n.line + 1
	for first <= len(n.file.lines) && strings.TrimSpace(n.file.line(first)) == "" {
		first++
	}
	head := n.file.line(first)
	indent := len(head) - len(strings.TrimLeft(head, " "))
	off = min(off, len(n.text))
	before := n.text[:off]
	line = first + strings.Count(before, "\n")
	last := before[strings.LastIndexByte(before, '\n')+1:]
	return line, indent + utf8.RuneCountInString(last) + 1
}

// escapeWidth is how many characters an escape of a double-quoted scalar has.
func escapeWidth(src []rune) int {
	if len(src) < 2 {
		return 1
	}
	switch src[1] {
	case 'x':
		return 4
	case 'u':
		return 6
	case 'U':
		return 10
	}
	return 2
}

// openBrackets counts brackets that text opens and does not close, outside of
// quotes; negative when it closes more than it opens.
func openBrackets(text string) int {
	open := 0
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0:
			if c == '\\' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '(' || c == '[' || c == '{':
			open++
		case c == ')' || c == ']' || c == '}':
			open--
		}
	}
	return open
}
