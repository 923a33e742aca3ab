package aggregate

// kinds is sorted by name.
var kinds = []Kind{
	{Name: "arg_max", Doc: argMaxDoc, Args: "x, by", New: plain("arg_max", newArgMax)},
	{Name: "arg_min", Doc: argMinDoc, Args: "x, by", New: plain("arg_min", newArgMin)},
	{Name: "avg", Doc: avgDoc, Args: "x", OrderFree: true, Subtracts: true, New: plain("avg", newAvg)},
	{Name: "bool_and", Doc: boolAndDoc, Args: "x", OrderFree: true, Subtracts: true, New: plain("bool_and", newBoolAnd)},
	{Name: "bool_or", Doc: boolOrDoc, Args: "x", OrderFree: true, Subtracts: true, New: plain("bool_or", newBoolOr)},
	{Name: "collect", Doc: collectDoc, Args: "x, [limit]", Params: collectParams, Subtracts: true, New: newCollect},
	{Name: "collect_set", Doc: collectSetDoc, Args: "x, [limit]", Params: collectParams, New: newCollectSet},
	{Name: "count", Doc: countDoc, Args: "[x]", OrderFree: true, Subtracts: true, New: plain("count", newCount)},
	{Name: "count_distinct", Doc: countDistinctDoc, Args: "x", OrderFree: true, New: plain("count_distinct", newCountDistinct)},
	{Name: "delta", Doc: deltaDoc, Args: "x", OrderFree: true, Time: true, New: plain("delta", newDelta)},
	{Name: "earliest", Doc: earliestDoc, Args: "x", OrderFree: true, Time: true, New: plain("earliest", newEarliest)},
	{Name: "ema", Doc: emaDoc, Args: "x, half_life", Params: emaParams, OrderFree: true, Time: true, New: newEma},
	{Name: "first", Doc: firstDoc, Args: "x", New: plain("first", newFirst)},
	{Name: "g_counter", Doc: gCounterDoc, Args: "x, actor", OrderFree: true, New: plain("g_counter", newGCounter)},
	{Name: "histogram", Doc: histogramDoc, Args: "x", OrderFree: true, Subtracts: true, New: plain("histogram", newHistogram)},
	{Name: "increase", Doc: increaseDoc, Args: "x", Time: true, New: plain("increase", newIncrease)},
	{Name: "last", Doc: lastDoc, Args: "x", New: plain("last", newLast)},
	{Name: "latest", Doc: latestDoc, Args: "x", OrderFree: true, Time: true, New: plain("latest", newLatest)},
	{Name: "lww", Doc: lwwDoc, Args: "x, ts, actor", OrderFree: true, New: plain("lww", newLww)},
	{Name: "lww_map", Doc: lwwMapDoc, Args: "k, v, ts, actor", OrderFree: true, New: plain("lww_map", newLwwMap)},
	{Name: "max", Doc: maxDoc, Args: "x", OrderFree: true, New: plain("max", newMax)},
	{Name: "median", Doc: medianDoc, Args: "x", OrderFree: true, Subtracts: true, New: plain("median", newMedian)},
	{Name: "min", Doc: minDoc, Args: "x", OrderFree: true, New: plain("min", newMin)},
	{Name: "or_set", Doc: orSetDoc, Args: "op, x, tag", OrderFree: true, New: plain("or_set", newOrSet)},
	{Name: "pn_counter", Doc: pnCounterDoc, Args: "x, actor", OrderFree: true, New: plain("pn_counter", newPnCounter)},
	{Name: "quantile", Doc: quantileDoc, Args: "x, q", Params: quantileParams, OrderFree: true, Subtracts: true, New: newQuantile},
	{Name: "rate", Doc: rateDoc, Args: "x", Time: true, New: plain("rate", newRate)},
	{Name: "stddev", Doc: stddevDoc, Args: "x", OrderFree: true, Subtracts: true, New: plain("stddev", newStddev)},
	{Name: "sum", Doc: sumDoc, Args: "x", OrderFree: true, Subtracts: true, New: plain("sum", newSum)},
	{Name: "top_k", Doc: topKDoc, Args: "x, k", Params: topKParams, New: newTopK},
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
