// Package state keeps the state of tasks: bytes that survive.
package state
