package expr

import (
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"
)

// encoding/json is the judge of what JSON text says.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`"a\n\t\r\b\f\/\\\"\u00e9\ud83d\ude00\ud83d x\ude00"`, `"é"`, `""`, ` [1, "a,]", {"k": [1]}, null] `, `[]`, `[[], {}]`,
		`{"a": 1, "b\u0063": {"d": "}"}, "a": 2}`, `{}`, `-1.5e3`, `12345678901234567890`, `true`, `null`, `1.0`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var want any
		if json.Unmarshal([]byte(s), &want) != nil || !utf8.ValidString(s) {
			// No JSON, which decoding has refused: these must only not panic.
			elements(s, func(e string) bool { scalar(e); return true })
			members(s, func(k, v string) bool { textOf(k); return true })
			memberOf(s, "a")
			elementOf(s, -1)
			equalJSON(s, s)
			return
		}
		if v := scalar(s); kindOf(s) == '"' && v.text != want {
			t.Errorf("text %q, want %q", v.text, want)
		}
		if list, ok := want.([]any); ok {
			if n := countElements(s); n != len(list) {
				t.Fatalf("%q has %d elements, want %d", s, n, len(list))
			}
			for i := range list {
				same(t, elementOf(s, int64(i)), list[i])
				same(t, elementOf(s, int64(i-len(list))), list[i])
			}
		}
		if object, ok := want.(map[string]any); ok {
			for k, v := range object {
				same(t, memberOf(s, k), v)
			}
		}
		again, _ := json.Marshal(want)
		if _, isNumber := want.(float64); !isNumber && want != nil && !hasNumber(want) && !equalJSON(s, string(again)) {
			t.Errorf("%q and %q should be equal", s, again)
		}
	})
}

func same(t *testing.T, part string, want any) {
	t.Helper()
	var got any
	if err := json.Unmarshal([]byte(part), &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%q is %v (%v), want %v", part, got, err, want)
	}
}

// hasNumber: a number may lose digits on its way through encoding/json.
func hasNumber(v any) bool {
	switch v := v.(type) {
	case float64:
		return true
	case []any:
		for _, e := range v {
			if hasNumber(e) {
				return true
			}
		}
	case map[string]any:
		for _, e := range v {
			if hasNumber(e) {
				return true
			}
		}
	}
	return false
}

func TestEqualJSON(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{`1`, `1.0`, true}, {`9007199254740993`, `9007199254740992.0`, false}, {`"a"`, `"\u0061"`, true},
		{`{"a": 1, "b": [1e0, null]}`, `{"b":[1,null],"a":1.0}`, true}, {`[1, 2]`, `[2, 1]`, false}, {`true`, `"true"`, false},
	} {
		if equalJSON(c.a, c.b) != c.want {
			t.Errorf("%s == %s is %v", c.a, c.b, !c.want)
		}
	}
}
