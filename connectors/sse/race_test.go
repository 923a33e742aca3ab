//go:build race

package sse

// joins is how many clients join while rows change: all of them where the
// race detector looks.
const joins = 10000
