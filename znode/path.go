package znode

import "strings"

const root = "/"

// ValidPath checks the syntax of the path of a node: absolute, no empty, "." or ".." component,
// no trailing slash, and no character that ZooKeeper forbids. It returns ErrBadArguments or nil.
// Bytes that are not UTF-8 are refused as the replacement character they decode to.
func ValidPath(path string) error {
	if path == "" || path[0] != '/' {
		return ErrBadArguments
	}
	if path == root {
		return nil
	}
	start := 1 // of the current component
	for i := 1; i < len(path); i++ {
		c := path[i]
		switch {
		case c == '/':
			if !validComponent(path[start:i]) {
				return ErrBadArguments
			}
			start = i + 1
		case c < 0x20 || c == 0x7F:
			return ErrBadArguments
		case c >= 0x80:
			return validUnicode(path, i, start)
		}
	}
	return validLast(path[start:])
}

// validUnicode goes on where ValidPath met the first byte outside ASCII, at i in the component
// that began at start. It is apart so that the common case reads bytes, not runes.
func validUnicode(path string, i, start int) error {
	for j, r := range path[i:] {
		if r == '/' {
			if !validComponent(path[start : i+j]) {
				return ErrBadArguments
			}
			start = i + j + 1
		} else if !validRune(r) {
			return ErrBadArguments
		}
	}
	return validLast(path[start:])
}

func validLast(component string) error {
	if !validComponent(component) {
		return ErrBadArguments
	}
	return nil
}

func validComponent(s string) bool { return s != "" && s != "." && s != ".." }

// validRune excludes control characters, surrogates (hence everything beyond the basic plane),
// the private use area and the specials.
func validRune(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7F && r <= 0x9F, r >= 0xD800 && r <= 0xF8FF, r >= 0xFFF0:
		return false
	}
	return true
}

// KeyOf splits a path into what the tree is ordered by: the parent's path and the name.
// The root has neither: its key is ("", "").
func KeyOf(path string) (parent, name string) {
	i := strings.LastIndexByte(path, '/')
	switch {
	case i < 0 || path == root:
		return "", ""
	case i == 0:
		return root, path[1:]
	}
	return path[:i], path[i+1:]
}

// split cuts an arbitrary string at its last slash as create and delete do before they know
// whether it is a path. ok is false if there is no slash or a NUL. The parent of a first-level
// path is "" in ZooKeeper, an alias of the root.
func split(path string) (parent string, ok bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 || strings.IndexByte(path, 0) >= 0 {
		return "", false
	}
	if i == 0 {
		return root, true
	}
	return path[:i], true
}
