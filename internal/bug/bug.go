// Package bug names the deliberate bugs of the bug bank. Each stands at its place in production code
// as one line,
//
//	if bug.On(bug.AckBeforeFlush) { … }
//
// which compiles to nothing. Built with the tag bugbank, the one that the environment variable
// GROVE_BUG names is alive: tests that do not notice it are of no use. docs/design/testing.md has the
// list and says who must notice what.
package bug

// Name is a bug.
type Name string
