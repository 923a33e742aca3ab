package aggregate

// kinds is sorted by name.
var kinds = []Kind{
	{Name: "avg", Doc: avgDoc, Args: "x", OrderFree: true, Subtracts: true, New: newAvg},
	{Name: "count", Doc: countDoc, Args: "[x]", OrderFree: true, Subtracts: true, New: newCount},
	{Name: "first", Doc: firstDoc, Args: "x", New: newFirst},
	{Name: "last", Doc: lastDoc, Args: "x", New: newLast},
	{Name: "max", Doc: maxDoc, Args: "x", OrderFree: true, New: newMax},
	{Name: "min", Doc: minDoc, Args: "x", OrderFree: true, New: newMin},
	{Name: "stddev", Doc: stddevDoc, Args: "x", OrderFree: true, Subtracts: true, New: newStddev},
	{Name: "sum", Doc: sumDoc, Args: "x", OrderFree: true, Subtracts: true, New: newSum},
	{Name: "variance", Doc: varianceDoc, Args: "x", OrderFree: true, Subtracts: true, New: newVariance},
}

// Kinds lists all aggregates, sorted by name.
func Kinds() []Kind { return kinds }

// Lookup finds an aggregate by its name.
func Lookup(name string) (Kind, bool) {
	for _, k := range kinds {
		if k.Name == name {
			return k, true
		}
	}
	return Kind{}, false
}
