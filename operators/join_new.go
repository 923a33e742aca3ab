package operators

import (
	"errors"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/state"
)

var errUnfinished = errors.New("not built yet")

func unfinished(*engine.Context) (engine.Operator, error) { return nil, errUnfinished }

// StreamStreamStores lists the store of a stream-stream join.
func StreamStreamStores(name string, s StreamStreamSpec) []state.Spec { return nil }

// StreamStream joins two streams within a span of time.
func StreamStream(StreamStreamSpec) func(*engine.Context) (engine.Operator, error) { return unfinished }

// StreamTable looks the rows of a stream up in a table.
func StreamTable(StreamTableSpec) func(*engine.Context) (engine.Operator, error) { return unfinished }

// TableTable joins two tables by equal keys.
func TableTable(TableTableSpec) func(*engine.Context) (engine.Operator, error) { return unfinished }

// ForeignKey joins two tables where the left holds the right's key.
func ForeignKey(ForeignKeySpec) func(*engine.Context) (engine.Operator, error) { return unfinished }

// Version numbers the changes of a table.
func Version(VersionSpec) func(*engine.Context) (engine.Operator, error) { return unfinished }

// Settle makes one table of numbered changes.
func Settle(SettleSpec) func(*engine.Context) (engine.Operator, error) { return unfinished }

// Table makes changes of a topic's rows.
func Table(TableSpec) func(*engine.Context) (engine.Operator, error) { return unfinished }
