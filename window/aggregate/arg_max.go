package aggregate

const argMaxDoc = "The x of the row where by is greatest, of the type of x; of rows with the same by the first that arrived. " +
	"Rows where x or by is null are skipped; null of nothing. By is ordered as in max: NaN above every number, text byte by byte."

func newArgMax(args []Type) (Aggregate, error) { return newArg("arg_max", args, 0) }
