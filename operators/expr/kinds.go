package expr

// functions are all functions, by name. To add one: a line here, its build
// function in the file of its subject, and lines in testdata.
var functions = []function{
	{"abs", "abs(x)", 1, 1, true, abs},
}
