// Package peer carries bytes between the servers of one cluster: Raft's messages, forwarded
// commands, the sessions a server has heard of, small questions with their answers, and images. It
// knows who may speak to whom, keeps the order within a connection, bounds what waits, and tells
// its owner when something was lost or when another server's process has ended. It looks into
// nothing it carries, decides nothing about it, and never blocks who sends.
//
// Every connection goes one way, is dialled by the sender when there is something to send, and is
// of one kind, so that what is urgent never waits behind what is large:
//
//	urgent     votes, heartbeats, read index, sessions heard of
//	bulk       appends and what answers them
//	commands   commands for who leads; TCP is the backpressure
//	asks       questions and their answers, by number; the only one that goes both ways
//	image      one image, then it is closed
//
// It begins with a hello and a welcome (see hello.go); nothing else is read before them. Then come
// frames:
//
//	 0        4      5           8        12
//	+--------+------+-----------+--------+---- ... ----+
//	| length | kind | crc of    | crc of | body        |   numbers are big-endian, crcs are crc32c
//	|        |      | the first | body   |             |
//	+--------+------+-----------+--------+---- ... ----+
//
// length is that of the body. The first five bytes have a check of their own (its low 24 bits), for a wrong
// length would otherwise be believed until that many bytes have come: on a quiet connection, for
// ever. A frame that does not check out closes its connection, and nothing of it is handed out.
package peer
