package aggregate

const argMinDoc = "The x of the row where by is least, of the type of x; of rows with the same by the first that arrived. " +
	"Rows where x or by is null are skipped; null of nothing. By is ordered as in min: NaN above every number, text byte by byte."

func newArgMin(args []Type) (Aggregate, error) { return newArg("arg_min", args, least) }
