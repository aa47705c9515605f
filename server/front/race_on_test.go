//go:build race

package front_test

// raceOn says that memory is not what it is otherwise.
const raceOn = true
