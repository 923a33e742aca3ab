package access

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/leatstream/leat/connectors/sse"
)

// Readers that are no names.
const (
	anonymous = "anonymous" // everybody, signed in or not
	everyone  = "*"         // all who are signed in
)

// rule is a View, parsed.
type rule struct {
	match   string
	readers []reader
	rows    string
}

// reader is one entry of readers: a name, or a claim with a value.
type reader struct {
	name         string
	claim, value string
}

func parseReader(s string) (reader, error) {
	claim, value, isClaim := strings.Cut(s, "=")
	switch {
	case s == "":
		return reader{}, fmt.Errorf("an empty reader names nobody")
	case !isClaim:
		return reader{name: s}, nil
	case claim == "" || value == "" || strings.TrimSpace(claim) != claim || strings.TrimSpace(value) != value:
		return reader{}, fmt.Errorf("%q: write claim=value, without spaces", s)
	}
	return reader{claim: claim, value: value}, nil
}

func parseReaders(texts []string) ([]reader, error) {
	if len(texts) == 0 {
		return []reader{{name: everyone}}, nil
	}
	var out []reader
	for _, s := range texts {
		r, err := parseReader(s)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func parseRules(views []View) ([]rule, error) {
	if views == nil {
		views = []View{{Match: everyone}}
	}
	var out []rule
	for _, v := range views {
		readers, err := parseReaders(v.Readers)
		if err != nil {
			return nil, err
		}
		out = append(out, rule{match: v.Match, readers: readers, rows: v.Rows})
	}
	return out, nil
}

// admits tells whether a viewer (nil: not signed in) is one of the readers.
func admits(readers []reader, v *sse.Viewer) bool {
	for _, r := range readers {
		if r.admits(v) {
			return true
		}
	}
	return false
}

func (r reader) admits(v *sse.Viewer) bool {
	switch {
	case r.name == anonymous:
		return true
	case v == nil:
		return false
	case r.name == everyone:
		return true
	case r.claim != "":
		return holds(claimOf(v.Claims, r.claim), r.value)
	}
	return r.name == v.Name
}

// claimOf finds a claim: by its whole name first, as some have dots in it
// ("https://example.org/groups"), else by path ("realm_access.roles").
func claimOf(claims map[string]any, name string) any {
	if v, ok := claims[name]; ok {
		return v
	}
	first, rest, nested := strings.Cut(name, ".")
	inner, ok := claims[first].(map[string]any)
	if !nested || !ok {
		return nil
	}
	return claimOf(inner, rest)
}

// holds tells whether a claim is a value, or a list that has it.
func holds(claim any, value string) bool {
	switch c := claim.(type) {
	case string:
		return c == value
	case bool:
		return strconv.FormatBool(c) == value
	case int64:
		return strconv.FormatInt(c, 10) == value
	case float64:
		return strconv.FormatFloat(c, 'g', -1, 64) == value
	case []any:
		for _, one := range c {
			if _, list := one.([]any); !list && holds(one, value) {
				return true
			}
		}
	}
	return false
}

func checkGlob(glob string) error {
	if glob == everyone {
		return nil
	}
	if strings.Count(glob, "/") != 1 {
		return fmt.Errorf("match: %q: write pipeline/sink, as orders/* or *", glob)
	}
	if _, err := path.Match(glob, ""); err != nil {
		return fmt.Errorf("match: %q is no pattern: * is any text, ? one character, [a-z] a set", glob)
	}
	return nil
}

// matches tells whether a glob names a view; * does not reach over the slash.
func matches(glob, view string) bool {
	if glob == everyone {
		return true
	}
	ok, err := path.Match(glob, view)
	return err == nil && ok
}
