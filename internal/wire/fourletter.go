package wire

// Telnet is the name FourLetterWord gives to the bytes a telnet client sends on interrupt. The
// answer to it is to close the connection.
const Telnet = "telnet"

// fourLetterWords are the commands an operator may type into a bare connection. stmk is followed
// by 8 bytes of argument, the others by nothing.
var fourLetterWords = [...]string{
	"conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "hash", "isro", "mntr",
	"ruok", "srst", "srvr", "stat", "stmk", "wchc", "wchp", "wchs",
}

const telnetInterrupt = 0xFFF4FFFD

// FourLetterWord names the command that the first four bytes of a connection spell, as a
// big-endian number; the same bytes would be the length of the first frame. Every word is far
// beyond any length allowed, so the two cannot be confused. It applies only until the handshake is
// done.
func FourLetterWord(first4 uint32) (name string, ok bool) {
	if first4 == telnetInterrupt {
		return Telnet, true
	}
	for _, w := range fourLetterWords {
		if first4 == uint32(w[0])<<24|uint32(w[1])<<16|uint32(w[2])<<8|uint32(w[3]) {
			return w, true
		}
	}
	return "", false
}
