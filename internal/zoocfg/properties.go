package zoocfg

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// property is one key of a Java properties file. Of a key given twice, the last one counts.
type property struct {
	key, value string // without the white space around them
	line       int    // where it starts, from 1
}

// readProperties reads the syntax of java.util.Properties: # and ! comments, = or : or white
// space after the key, lines continued by a backslash, escapes by backslash and by \uXXXX.
// Bytes beyond ASCII are kept as they are, so that a path in UTF-8 means itself.
func readProperties(text []byte) ([]property, error) {
	var list []property
	place := map[string]int{}
	lines := lineReader{rest: text}
	for {
		logical, line, ok := lines.next()
		if !ok {
			return list, nil
		}
		p, err := readProperty(logical, line)
		if err != nil {
			return nil, err
		}
		if at, twice := place[p.key]; twice {
			list[at] = p
			continue
		}
		place[p.key] = len(list)
		list = append(list, p)
	}
}

func readProperty(logical []byte, line int) (property, error) {
	key, rest, ok := unescape(logical, isKeyEnd)
	if !ok {
		return property{}, &Error{Line: line, Why: `\u without four hexadecimal digits`}
	}
	rest = bytes.TrimLeft(rest, blanks)
	if len(rest) > 0 && (rest[0] == '=' || rest[0] == ':') {
		rest = bytes.TrimLeft(rest[1:], blanks)
	}
	value, _, ok := unescape(rest, func(byte) bool { return false })
	if !ok {
		return property{}, &Error{Line: line, Key: key, Why: `\u without four hexadecimal digits`}
	}
	return property{key: strings.TrimSpace(key), value: strings.TrimSpace(value), line: line}, nil
}

const blanks = " \t\f"

func isKeyEnd(c byte) bool { return c == '=' || c == ':' || strings.IndexByte(blanks, c) >= 0 }

// lineReader joins natural lines into logical ones and leaves out comments and empty lines.
type lineReader struct {
	rest []byte
	line int // of the last natural line read
}

// next returns a logical line and the number of its first natural line.
func (r *lineReader) next() (logical []byte, line int, ok bool) {
	for len(r.rest) > 0 {
		natural := bytes.TrimLeft(r.natural(), blanks)
		line = r.line
		if len(natural) == 0 || natural[0] == '#' || natural[0] == '!' {
			continue
		}
		for continued(natural) {
			natural = natural[:len(natural)-1]
			if len(r.rest) == 0 {
				break
			}
			more := bytes.TrimLeft(r.natural(), blanks)
			natural = append(natural[:len(natural):len(natural)], more...)
		}
		if len(natural) > 0 {
			return natural, line, true
		}
	}
	return nil, 0, false
}

// natural cuts one line off, ended by \n, \r or \r\n.
func (r *lineReader) natural() []byte {
	r.line++
	end := bytes.IndexAny(r.rest, "\r\n")
	if end < 0 {
		line := r.rest
		r.rest = nil
		return line
	}
	line, rest := r.rest[:end], r.rest[end+1:]
	if r.rest[end] == '\r' && len(rest) > 0 && rest[0] == '\n' {
		rest = rest[1:]
	}
	r.rest = rest
	return line
}

// continued tells whether a line ends in an odd number of backslashes.
func continued(line []byte) bool {
	n := len(line) - len(bytes.TrimRight(line, `\`))
	return n%2 == 1
}

// unescape reads up to the first byte that is neither escaped nor wanted, and returns what
// follows. It fails on a broken \u.
func unescape(b []byte, end func(byte) bool) (text string, rest []byte, ok bool) {
	var out []byte
	for len(b) > 0 && !end(b[0]) {
		if b[0] != '\\' {
			out, b = append(out, b[0]), b[1:]
			continue
		}
		if len(b) == 1 {
			break // a backslash at the very end of the file escapes nothing
		}
		c := b[1]
		b = b[2:]
		if c == 'u' {
			var r rune
			if r, b, ok = unescapeRune(b); !ok {
				return "", nil, false
			}
			out = utf8.AppendRune(out, r)
			continue
		}
		out = append(out, escaped(c))
	}
	return string(out), b, true
}

func escaped(c byte) byte {
	switch c {
	case 't':
		return '\t'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 'f':
		return '\f'
	}
	return c
}

// unescapeRune reads the four digits behind \u, and a second \uXXXX if the two are a pair.
func unescapeRune(b []byte) (r rune, rest []byte, ok bool) {
	first, ok := fourDigits(b)
	if !ok {
		return 0, nil, false
	}
	b = b[4:]
	if utf16.IsSurrogate(first) && bytes.HasPrefix(b, []byte(`\u`)) {
		if second, ok := fourDigits(b[2:]); ok {
			if pair := utf16.DecodeRune(first, second); pair != utf8.RuneError {
				return pair, b[6:], true
			}
		}
	}
	return first, b, true // a lone half becomes U+FFFD when it is written
}

func fourDigits(b []byte) (rune, bool) {
	if len(b) < 4 || bytes.ContainsAny(b[:4], "+-_") {
		return 0, false
	}
	v, err := strconv.ParseUint(string(b[:4]), 16, 32)
	return rune(v), err == nil
}
