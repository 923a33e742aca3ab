package state

// Table is the memory in front of one store: pointer-free blocks.
type Table struct{}
