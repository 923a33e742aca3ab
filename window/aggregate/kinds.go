package aggregate

// kinds is sorted by name.
var kinds = []Kind{
	{Name: "avg", Doc: avgDoc, Args: "x", OrderFree: true, Subtracts: true, New: plain("avg", newAvg)},
	{Name: "count", Doc: countDoc, Args: "[x]", OrderFree: true, Subtracts: true, New: plain("count", newCount)},
	{Name: "first", Doc: firstDoc, Args: "x", New: plain("first", newFirst)},
	{Name: "last", Doc: lastDoc, Args: "x", New: plain("last", newLast)},
	{Name: "max", Doc: maxDoc, Args: "x", OrderFree: true, New: plain("max", newMax)},
	{Name: "min", Doc: minDoc, Args: "x", OrderFree: true, New: plain("min", newMin)},
	{Name: "stddev", Doc: stddevDoc, Args: "x", OrderFree: true, Subtracts: true, New: plain("stddev", newStddev)},
	{Name: "sum", Doc: sumDoc, Args: "x", OrderFree: true, Subtracts: true, New: plain("sum", newSum)},
	{Name: "variance", Doc: varianceDoc, Args: "x", OrderFree: true, Subtracts: true, New: plain("variance", newVariance)},
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
