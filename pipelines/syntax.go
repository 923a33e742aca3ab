package pipelines

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

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
	case strings.Contains(problem, "control characters are not allowed"):
		if at := strings.IndexFunc(source, isControl); at >= 0 {
			column = utf8.RuneCountInString(source[:at]) + 1
			what := strings.Trim(strconv.QuoteRune([]rune(source[at:])[0]), "'")
			return line, column, "the character " + what + " cannot stand in YAML", "take it out, or write it as an escape in a text in double quotes"
		}
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
	case strings.Contains(problem, "did not find expected node content"):
		return line, column, "a value is missing before this", "close every bracket in its turn, and quote a text that begins with `,`, `]` or `}`"
	case strings.Contains(problem, "found unknown escape character"):
		return line, column, "in double quotes \\ begins an escape, and this is none", "write \\\\, or use single quotes: '…'"
	case strings.Contains(problem, "block sequence entries are not allowed"):
		return line, column, "a list cannot begin with `- ` behind `key:`", "begin it on a line of its own, or write [a, b]"
	case strings.Contains(problem, "did not find expected comment or line break"):
		return line, column, "behind | or > the line has to end", "begin the text on the next line, indented"
	case strings.Contains(problem, "did not find expected ','"):
		return line, column, "a `,` or the closing bracket is missing here", "quote texts that contain brackets, commas or `: `"
	}
	return line, column, problem, ""
}

// isControl tells of the characters that a terminal would obey.
func isControl(r rune) bool { return unicode.IsControl(r) && r != '\t' }

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
