// Package admin answers operators: the four-letter words of the client port, and over HTTP the
// health checks, the metrics and the /commands pages, all under the names and in the formats
// that Apache ZooKeeper 3.9 gives them, so that dashboards and scripts go on working.
//
// It renders the plain values that a Source hands out and holds no state of its own. It never
// looks into the tree, never writes to the log and never shows a secret: a Source has no
// password and no credential to give.
package admin
