//go:build !race

package sse

// joins is how many clients join while rows change; make race has more.
const joins = 2000
