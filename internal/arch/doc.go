// Package arch holds the house to its plan: which rooms there are, who may import whom, what the
// pure rooms do without, and how large a file may grow. Its tests read the source of the module and
// nothing else, and every failure says why the rule is there. It has no code of its own.
//
// To move a wall on purpose, change the table here and the plan in docs/design in the same commit.
package arch
