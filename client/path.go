package client

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// checkPath refuses what no server accepts as the path of a node. open permits a slash at the end,
// which is right for a sequential node: its number is its name.
func checkPath(path string, open bool) error {
	if path == "/" {
		return nil
	}
	if path == "" || path[0] != '/' {
		return fmt.Errorf("%w: %q does not begin with a slash", ErrInvalidPath, path)
	}
	if plain(path) && (open || path[len(path)-1] != '/') {
		return nil // nearly every path
	}
	if open {
		path = strings.TrimSuffix(path, "/")
	}
	for _, name := range strings.Split(path[1:], "/") {
		switch {
		case name == "":
			return fmt.Errorf("%w: %q has an empty name", ErrInvalidPath, path)
		case name == "." || name == "..":
			return fmt.Errorf("%w: %q is relative", ErrInvalidPath, path)
		}
	}
	if !utf8.ValidString(path) {
		return fmt.Errorf("%w: %q is not UTF-8", ErrInvalidPath, path)
	}
	for _, r := range path {
		if forbidden(r) {
			return fmt.Errorf("%w: %q contains %U", ErrInvalidPath, path, r)
		}
	}
	return nil
}

// plain reports whether path is of printable ASCII without points and empty names: valid for sure.
func plain(path string) bool {
	for i := 1; i < len(path); i++ {
		c := path[i]
		if c <= ' ' || c >= 0x7f || c == '.' || c == '/' && path[i-1] == '/' {
			return false
		}
	}
	return true
}

// forbidden reports whether servers refuse r: control characters, what takes two units of UTF-16,
// the private use area, and the specials.
func forbidden(r rune) bool {
	return r <= 0x1f || r >= 0x7f && r <= 0x9f || r >= 0xd800 && r <= 0xf8ff || r >= 0xfff0
}

// absolute is what path is called on the server, for a client that sees only what is below root.
func absolute(root, path string) string {
	switch {
	case root == "":
		return path
	case path == "/":
		return root
	}
	return root + path
}

// relative undoes absolute. What is not below root, which only paths of the server's own are, stays
// as it is.
func relative(root, path string) string {
	if root == "" {
		return path
	}
	rest, ok := strings.CutPrefix(path, root)
	switch {
	case !ok:
		return path
	case rest == "":
		return "/"
	case rest[0] != '/':
		return path
	}
	return rest
}
