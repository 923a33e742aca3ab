package operators

import (
	"testing"
	"time"

	"github.com/leatstream/leat/engine"
)

// joinText opens a join from the keys of a text file:
//
//	in, right          the schemas; the right's columns come out as r.<name>
//	kind               inner (default), left, outer
//	key, right_key     as in group; right_key is key where absent
func joinText(t testing.TB, r *rig, keys map[string]string) JoinSpec {
	right := schema(t, keys["right"])
	r.ins = []*engine.Schema{r.in, right}
	kind := map[string]JoinKind{"": InnerJoin, "inner": InnerJoin, "left": LeftJoin, "outer": OuterJoin}[keys["kind"]]
	rightKey := keys["right_key"]
	if rightKey == "" {
		rightKey = keys["key"]
	}
	return sides(t, kind, r.in, right, keys["key"], rightKey)
}

func textSpan(t testing.TB, s string) time.Duration {
	if s == "" {
		return 0
	}
	return duration(t, s)
}

func columnsOf(in *engine.Schema, text string) []int {
	var columns []int
	for _, name := range list(text) {
		columns = append(columns, in.Lookup(name))
	}
	return columns
}

func openStreamStream(t testing.TB, r *rig, keys map[string]string) {
	s := StreamStreamSpec{JoinSpec: joinText(t, r, keys), LateSide: keys["late"] == "side"}
	s.Before, s.After, s.Grace = textSpan(t, keys["before"]).Milliseconds(), textSpan(t, keys["after"]).Milliseconds(), textSpan(t, keys["grace"]).Milliseconds()
	r.ports = s.LateSide
	r.stores, r.open = StreamStreamStores("it", s), StreamStream(s)
}

func openStreamTable(t testing.TB, r *rig, keys map[string]string) {
	s := StreamTableSpec{JoinSpec: joinText(t, r, keys), History: textSpan(t, keys["history"])}
	r.stores, r.open = StreamTableStores("it", s), StreamTable(s)
}

func openTableTable(t testing.TB, r *rig, keys map[string]string) {
	s := TableTableSpec{JoinSpec: joinText(t, r, keys), TTL: textSpan(t, keys["ttl"])}
	r.stores, r.open = TableTableStores("it", s), TableTable(s)
}

func openForeignKey(t testing.TB, r *rig, keys map[string]string) {
	s := ForeignKeySpec{JoinSpec: joinText(t, r, keys), LeftKey: columnsOf(r.in, keys["own"])}
	r.stores, r.open = ForeignKeyStores("it", s), ForeignKey(s)
}

func openTable(t testing.TB, r *rig, keys map[string]string) {
	s := TableSpec{Schema: r.in, Key: columnsOf(r.in, keys["key"]), History: textSpan(t, keys["history"])}
	r.ports = s.History > 0
	r.stores, r.open = TableStores("it", s), Table(s)
}

func openVersion(_ testing.TB, r *rig, _ map[string]string) {
	fields := append(append([]engine.Field{}, r.in.Fields...), engine.Field{Name: VersionColumn, Type: engine.Int})
	r.stores, r.open = VersionStores("it"), Version(VersionSpec{In: r.in, Out: engine.NewSchema(fields...)})
}

func openSettle(t testing.TB, r *rig, keys map[string]string) {
	s := SettleSpec{In: r.in, Key: columnsOf(r.in, keys["key"]), Version: r.in.Lookup(VersionColumn)}
	var fields []engine.Field
	for c, f := range r.in.Fields {
		if c != s.Version {
			fields = append(fields, f)
		}
	}
	s.Out = engine.NewSchema(fields...)
	r.stores, r.open = SettleStores("it", s), Settle(s)
}
