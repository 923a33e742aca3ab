package pipelines

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Scalars get their types here, from their text and by the key that they stand
// under. Environment references are replaced first; messages show the text as
// it stands in the file, so that a secret is never printed.

var (
	namePattern     = regexp.MustCompile(`^[a-z][a-z0-9_]{0,59}$`)
	pipelinePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,59}$`)
	topicPattern    = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)
	barePattern     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`)
	spanPattern     = regexp.MustCompile(`([0-9]*\.?[0-9]+)([a-zµμ]+)`)
	variablePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// text is any scalar as text. ok is false when something was reported.
func (l *loader) text(n *node) (s string, ok bool) {
	if n == nil {
		return "", false
	}
	if n.kind != scalarNode || n.null {
		l.fail(n, "type", "", "a text is needed here, not %s", n.what())
		return "", false
	}
	return l.interpolate(n)
}

// interpolate replaces ${VAR}, ${VAR:-default}, ${VAR:?text} and ${file:/path};
// $${ stands for ${ itself.
func (l *loader) interpolate(n *node) (string, bool) {
	if !strings.Contains(n.text, "${") {
		return n.text, true
	}
	var b strings.Builder
	ok := true
	for i := 0; i < len(n.text); {
		rest := n.text[i:]
		switch {
		case strings.HasPrefix(rest, "$${"):
			b.WriteString("${")
			i += 3
		case strings.HasPrefix(rest, "${"):
			end := strings.IndexByte(rest, '}')
			if end < 0 {
				l.failAt(n, i, "env", "write $${ for the characters ${", "${ without its }")
				return "", false
			}
			value, problem, hint := l.reference(rest[2:end])
			if problem != "" {
				l.failAt(n, i, "env", hint, "%s", problem)
				ok = false
			}
			b.WriteString(value)
			i += end + 1
		default:
			b.WriteByte(n.text[i])
			i++
		}
	}
	return b.String(), ok
}

// reference resolves what stands between ${ and }.
func (l *loader) reference(ref string) (value, problem, hint string) {
	if path, ok := strings.CutPrefix(ref, "file:"); ok {
		return readReference(path)
	}
	name, rest := ref, ""
	if i := strings.IndexByte(ref, ':'); i >= 0 {
		name, rest = ref[:i], ref[i:]
	}
	if !variablePattern.MatchString(name) || (rest != "" && !strings.HasPrefix(rest, ":-") && !strings.HasPrefix(rest, ":?")) {
		return "", "a reference that is none of ${VAR}, ${VAR:-default}, ${VAR:?text}, ${file:/path}", "write $${ for the characters ${"
	}
	value, set := l.env(name)
	switch {
	case set && (value != "" || rest == ""):
		return value, "", ""
	case strings.HasPrefix(rest, ":-"):
		return rest[2:], "", ""
	case strings.HasPrefix(rest, ":?"):
		return "", fmt.Sprintf("environment variable %s is not set: %s", name, rest[2:]), ""
	}
	return "", fmt.Sprintf("environment variable %s is not set", name), fmt.Sprintf("set it, or give a default: ${%s:-…}", name)
}

func readReference(path string) (value, problem, hint string) {
	const most = 64 << 10 // a secret or a URL, not a data file
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Sprintf("cannot read ${file:%s}: %v", path, unwrapPath(err)), ""
	}
	defer f.Close()
	buf := make([]byte, most+1)
	n := 0
	for n < len(buf) {
		m, err := f.Read(buf[n:])
		n += m
		if err != nil {
			break
		}
	}
	if n > most {
		return "", fmt.Sprintf("${file:%s} is longer than 64 KiB", path), ""
	}
	if !utf8.Valid(buf[:n]) {
		return "", fmt.Sprintf("${file:%s} is not UTF-8 text", path), ""
	}
	return strings.TrimRight(string(buf[:n]), "\r\n"), "", ""
}

func unwrapPath(err error) error {
	if pe, ok := err.(*os.PathError); ok {
		return pe.Err
	}
	return err
}

// word is a text with its place.
func (l *loader) word(n *node) (Word, bool) {
	s, ok := l.text(n)
	if !ok {
		return Word{}, false
	}
	return wordOf(n, s), true
}

func wordOf(n *node, text string) Word {
	line, column := n.begin()
	return Word{Text: text, Pos: Pos{n.file.name, line, column}, node: n}
}

// name is an identifier: of a source, a transform, a sink.
func (l *loader) name(n *node) Word {
	w, ok := l.word(n)
	if !ok {
		return Word{}
	}
	if !namePattern.MatchString(w.Text) {
		hint := ""
		if fixed := toName(w.Text); fixed != "" {
			hint = fmt.Sprintf("did you mean %q?", fixed)
		}
		l.fail(n, "name", hint, "%s is not a name: a-z, 0-9 and _, at most 60, a letter first", shorten(n.raw()))
		return Word{}
	}
	if reserved[w.Text] {
		l.fail(n, "reserved", "", "%q is a reserved name", w.Text)
		return Word{}
	}
	return w
}

// toName makes a valid name of a text, or "".
func toName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, s)
	if !namePattern.MatchString(s) {
		return ""
	}
	return s
}

// columnName is the name of a column: looser than name, as columns come from
// other people's data.
func (l *loader) columnName(n *node) (Word, bool) {
	w, ok := l.word(n)
	if ok && (w.Text == "" || len(w.Text) > 256 || strings.ContainsAny(w.Text, "\x00\n")) {
		l.fail(n, "name", "", "%s is not a column name", shorten(n.raw()))
		return Word{}, false
	}
	return w, ok
}

func (l *loader) topic(n *node) (Word, bool) {
	w, ok := l.word(n)
	if ok && (!topicPattern.MatchString(w.Text) || w.Text == "." || w.Text == "..") {
		l.fail(n, "name", "", "%s is not a topic name: letters, digits, `.`, `_` and `-`, at most 249", shorten(n.raw()))
		return Word{}, false
	}
	return w, ok
}

// oneOf is a word out of a list.
func (l *loader) oneOf(n *node, words ...string) (string, bool) {
	s, ok := l.text(n)
	if !ok {
		return "", false
	}
	for _, w := range words {
		if s == w {
			return s, true
		}
	}
	l.fail(n, "value", didYouMean(s, words), "%s is not known here", shorten(n.raw()))
	return "", false
}

func (l *loader) bool(n *node) (value, ok bool) {
	s, ok := l.text(n)
	if !ok {
		return false, false
	}
	switch s {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	hint := ""
	switch strings.ToLower(s) {
	case "yes", "on", "y", "1":
		hint = "write true"
	case "no", "off", "n", "0":
		hint = "write false"
	}
	l.fail(n, "type", hint, "%s is neither true nor false", shorten(n.raw()))
	return false, false
}

// whole is an int in [low, high].
func (l *loader) whole(n *node, low, high int) (int, bool) {
	s, ok := l.text(n)
	if !ok {
		return 0, false
	}
	v, err := strconv.Atoi(s)
	if err != nil {
		l.fail(n, "type", "", "%s is not a whole number", shorten(n.raw()))
		return 0, false
	}
	if v < low || v > high {
		l.fail(n, "value", "", "%s is not between %d and %d", shorten(n.raw()), low, high)
		return 0, false
	}
	return v, true
}

// fraction is a percentage ("5%") or a number between 0 and 1.
func (l *loader) fraction(n *node) (float64, bool) {
	s, ok := l.text(n)
	if !ok {
		return 0, false
	}
	number, percent := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v > 0 && v <= 1) {
		l.fail(n, "type", "for example 5%", "%s is not a rate", shorten(n.raw()))
		return 0, false
	}
	return v, true
}

// duration is Go's duration plus d, at least low.
func (l *loader) duration(n *node, low time.Duration) (time.Duration, bool) {
	s, ok := l.text(n)
	if !ok {
		return 0, false
	}
	d, err := ParseDuration(s)
	if err != nil {
		hint := "for example 500ms, 30s, 5m, 2h, 7d"
		if _, numeric := strconv.ParseFloat(s, 64); numeric == nil {
			hint = fmt.Sprintf("a unit is missing: %ss or %sms?", s, s)
		} else if strings.HasSuffix(s, "w") || strings.HasSuffix(s, "mo") || strings.HasSuffix(s, "y") {
			hint = "w, mo and y are for windows with a time_zone"
		}
		l.fail(n, "type", hint, "%s is not a duration", shorten(n.raw()))
		return 0, false
	}
	if d < low {
		l.fail(n, "value", "", "%s must not be less than %s", shorten(n.raw()), formatDuration(low))
		return 0, false
	}
	return d, true
}

// milliseconds is a duration of whole milliseconds, the grain of event time.
func (l *loader) milliseconds(n *node, low time.Duration) (int64, bool) {
	d, ok := l.duration(n, low)
	if ok && d%time.Millisecond != 0 {
		l.fail(n, "value", "event time counts whole milliseconds", "%s is finer than a millisecond", shorten(n.raw()))
		return 0, false
	}
	return d.Milliseconds(), ok
}

// ParseDuration reads Go's durations, with d for days of 24 hours.
func ParseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("parse duration %q", s)
	if s == "" || strings.HasPrefix(s, "+") {
		return 0, bad
	}
	if !strings.Contains(s, "d") {
		d, err := time.ParseDuration(s)
		if err != nil || (s == "0") {
			return 0, bad
		}
		return d, nil
	}
	rest, negative := strings.CutPrefix(s, "-")
	total := 0.0
	var sum time.Duration
	at := 0
	for _, m := range spanPattern.FindAllStringSubmatchIndex(rest, -1) {
		if m[0] != at {
			return 0, bad
		}
		at = m[1]
		number, unit := rest[m[2]:m[3]], rest[m[4]:m[5]]
		var d time.Duration
		if unit == "d" {
			days, err := strconv.ParseFloat(number, 64)
			if err != nil || days > math.MaxInt64/float64(24*time.Hour) {
				return 0, bad
			}
			d = time.Duration(math.Round(days * float64(24*time.Hour)))
		} else {
			var err error
			if d, err = time.ParseDuration(number + unit); err != nil {
				return 0, bad
			}
		}
		sum += d
		if total += float64(d); total > math.MaxInt64/2 {
			return 0, bad
		}
	}
	if at != len(rest) || at == 0 {
		return 0, bad
	}
	if negative {
		sum = -sum
	}
	return sum, nil
}

// formatDuration writes a duration as a pipeline would: 1d, 90m, 1.5s.
func formatDuration(d time.Duration) string {
	if d != 0 && d%(24*time.Hour) == 0 {
		return strconv.FormatInt(int64(d/(24*time.Hour)), 10) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// ParseSize reads sizes: 10MB, 1GiB, 512 (bytes).
func ParseSize(s string) (int64, error) {
	unit := int64(1)
	number := s
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok {
			number, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || v < 0 || v*float64(unit) > math.MaxInt64/2 || math.IsNaN(v) {
		return 0, fmt.Errorf("parse size %q: for example 512kB, 10MB, 1GiB", s)
	}
	return int64(v * float64(unit)), nil
}

// expr is an expression: never interpolated, and checked for what YAML does to
// texts that were not meant as YAML.
func (l *loader) expr(n *node) *Expr {
	if n == nil {
		return nil
	}
	switch {
	case n.kind == mappingNode && n.flow:
		l.fail(n, "type", "quote it: '{…}'", "an expression is needed here; unquoted { } is a mapping to YAML")
		return nil
	case n.kind == sequenceNode && n.flow:
		l.fail(n, "type", "quote it: '[…]'", "an expression is needed here; unquoted [ ] is a list to YAML")
		return nil
	case n.kind != scalarNode:
		l.fail(n, "type", "", "an expression is needed here, not %s", n.what())
		return nil
	case n.null && n.text == "":
		if word := n.word(); word != "" {
			return exprOf(n, "nil", 0) // set: {since: null}
		}
		hint := ""
		if rest := n.commentAfter(); rest != "" {
			hint = fmt.Sprintf("to YAML \"%s\" is a comment: quote the expression", rest)
		}
		l.fail(n, "type", hint, "an expression is needed here, not nothing")
		return nil
	}
	if i := strings.Index(n.text, "${"); i >= 0 {
		l.failAt(n, i, "env", "put it into vars: and write vars.name", "environment references are not replaced inside expressions")
		return nil
	}
	if (n.quotes == singleQuoted || n.quotes == doubleQuoted) && barePattern.MatchString(n.text) && !constants[n.text] {
		l.fail(n, "quoted-name", fmt.Sprintf("for the column write %s, for the text '%q'", n.text, n.text),
			"to YAML these quotes are not part of the expression: this is the column %s, not a text", n.text)
		return nil
	}
	if n.text == "" {
		l.fail(n, "type", `for the empty text write '""'`, "an expression is needed here, not an empty text")
		return nil
	}
	return exprOf(n, n.text, 0)
}

var constants = map[string]bool{"true": true, "false": true, "nil": true, "null": true}

// word is the word a null was written with: null, ~, or "" for nothing.
func (n *node) word() string {
	rest := []rune(n.file.line(n.line))
	if n.column-1 >= len(rest) {
		return ""
	}
	s := string(rest[n.column-1:])
	for _, w := range []string{"null", "Null", "NULL", "~"} {
		if strings.HasPrefix(s, w) {
			return w
		}
	}
	return ""
}

// commentAfter is the comment that follows a plain scalar on its line, or "":
// perhaps the rest of an expression that YAML cut at ` #`.
func (n *node) commentAfter() string {
	if n.quotes != plainText {
		return ""
	}
	line := []rune(n.file.line(n.line))
	_, column := n.at(len(n.text))
	for i := max(column-1, 1); i < len(line); i++ {
		if line[i] == '#' && line[i-1] == ' ' {
			return strings.TrimSpace(string(line[i:]))
		}
		if line[i] != ' ' {
			return ""
		}
	}
	return ""
}

func exprOf(n *node, text string, offset int) *Expr {
	line, column := n.at(offset)
	return &Expr{Text: text, Pos: Pos{n.file.name, line, column}, node: n, offset: offset}
}
