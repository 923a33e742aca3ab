package expr

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/expr-lang/expr/builtin"

	"github.com/leatstream/leat/engine"
)

// promised has an example of each function that the language promises: ours,
// and those of expr's that are not left out on purpose.
var promised = map[string]string{
	"hash": `hash(s)`, "sha256": `sha256(s)`, "hmac": `hmac(s, secret("NAME"))`, "secret": `hmac(s, secret("NAME"))`,
	"mask": `mask(s, 2)`, "regex_match": `regex_match(s, "a")`, "regex_replace": `regex_replace(s, "a", "b")`,
	"regex_extract": `regex_extract(s, "a")`, "round": `round(x, 2)`, "div": `div(n, 2)`, "log": `log(x)`,
	"exp": `exp(x)`, "sqrt": `sqrt(x)`, "bucket": `bucket(t, "1m")`, "parse_time": `parse_time(s)`,
	"format_time": `format_time(t, "%Y", "Europe/Berlin")`, "json": `json(s)`, "duration": `duration("15m")`,
	"op": `op()`, "key": `key()`, "topic": `topic()`, "partition": `partition()`, "offset": `offset()`, "timestamp": `timestamp()`, "header": `header("h")`,

	"all": `all(l, # > 1)`, "none": `none(l, # > 1)`, "any": `any(l, # > 1)`, "one": `one(l, # > 1)`,
	"filter": `filter(l, # > 1)`, "map": `map(l, # + 1)`, "find": `find(l, # > 1)`, "findIndex": `findIndex(l, # > 1)`,
	"findLast": `findLast(l, # > 1)`, "findLastIndex": `findLastIndex(l, # > 1)`, "count": `count(l, # > 1)`,
	"sum": `sum(l)`, "sortBy": `sortBy(l, -#, "desc")`, "reduce": `reduce(l, #acc + #, 0)`,
	"len": `len(s)`, "abs": `abs(n)`, "ceil": `ceil(x)`, "floor": `floor(x)`, "int": `int(s)`, "float": `float(s)`,
	"string": `string(n)`, "bool": `bool(s)`, "trim": `trim(s)`, "trimPrefix": `trimPrefix(s, "a")`, "trimSuffix": `trimSuffix(s, "a")`,
	"upper": `upper(s)`, "lower": `lower(s)`, "split": `split(s, ",")`, "splitAfter": `splitAfter(s, ",")`,
	"replace": `replace(s, "a", "b")`, "repeat": `repeat(s, 2)`, "join": `join(split(s, ","), "+")`, "indexOf": `indexOf(s, "a")`,
	"lastIndexOf": `lastIndexOf(s, "a")`, "hasPrefix": `hasPrefix(s, "a")`, "hasSuffix": `hasSuffix(s, "a")`,
	"max": `max(n, 2)`, "min": `min(l)`, "mean": `mean(l)`, "median": `median(l)`, "toJSON": `toJSON(l)`, "fromJSON": `fromJSON(s)`,
	"toBase64": `toBase64(s)`, "fromBase64": `fromBase64(s)`, "first": `first(l)`, "last": `last(l)`, "get": `get(j, "a")`,
	"take": `take(l, 2)`, "keys": `keys(j)`, "values": `values(j)`, "reverse": `reverse(l)`, "uniq": `uniq(l)`,
	"concat": `concat(l, l)`, "flatten": `flatten(l)`, "sort": `sort(l)`,
	"bitand": `bitand(n, 1)`, "bitor": `bitor(n, 1)`, "bitxor": `bitxor(n, 1)`, "bitnand": `bitnand(n, 1)`, "bitnot": `bitnot(n)`,
	"bitshl": `bitshl(n, 1)`, "bitshr": `bitshr(n, 1)`, "bitushr": `bitushr(n, 1)`,
}

// leftOut are expr's functions that a pipeline must not have.
var leftOut = []string{"now", "date", "timezone", "type", "groupBy", "toPairs", "fromPairs"}

func TestEveryPromisedFunction(t *testing.T) {
	env := Env{
		Schema: engine.NewSchema(engine.Field{Name: "s", Type: engine.String}, engine.Field{Name: "n", Type: engine.Int},
			engine.Field{Name: "x", Type: engine.Double}, engine.Field{Name: "t", Type: engine.Timestamp},
			engine.Field{Name: "l", Type: engine.Any}, engine.Field{Name: "j", Type: engine.Any}, engine.Field{Name: ChangeColumn, Type: engine.String}),
		Lists:  map[string]engine.Type{"l": engine.Int},
		Record: true,
		Secret: func(string) (string, bool) { return "s", true },
	}
	for name, example := range promised {
		if _, err := Compile(example, env); err != nil {
			t.Errorf("%s: %v", example, err)
		}
		if !strings.Contains(example, name+"(") {
			t.Errorf("%s is no example of %s", example, name)
		}
	}
	for _, f := range builtin.Builtins {
		if promised[f.Name] == "" && !slices.Contains(leftOut, f.Name) {
			t.Errorf("expr has %s, and we neither have it nor leave it out", f.Name)
		}
	}
	manual, err := os.ReadFile("../../docs/expressions.md")
	if err != nil {
		t.Fatal(err)
	}
	word := regexp.MustCompile(`\w+`).FindAllString(string(manual), -1)
	for _, f := range functions {
		if !slices.Contains(word, f.name) {
			t.Errorf("docs/expressions.md does not have %s", f.name)
		}
		if promised[f.name] == "" {
			t.Errorf("%s has no example here", f.name)
		}
	}
	for _, name := range leftOut {
		var wrong *Error
		if _, err := Compile(name+"(l, #)", env); !errors.As(err, &wrong) || wrong.Hint == "" {
			if _, err := Compile(name+"(s)", env); !errors.As(err, &wrong) || wrong.Hint == "" {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if !slices.IsSortedFunc(functions, func(a, b function) int { return strings.Compare(a.name, b.name) }) {
		t.Error("the table of functions is not in order")
	}
}
