package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/grovekeeper/grove/internal/zoocfg"
	"github.com/grovekeeper/grove/server/member"
)

// takeFile reads Grove's own file or a zoo.cfg; the name tells them apart, because the contents
// cannot: tickTime=2000 is good TOML too.
func (s *settings) takeFile(name string, read func(string) ([]byte, error)) error {
	text, err := read(name)
	if err != nil {
		return usageError(fmt.Sprintf("--%s: %v", configName, err))
	}
	if strings.HasSuffix(name, ".toml") {
		return s.takeTOML(name, text)
	}
	return s.takeZoo(name, text, read)
}

// takeTOML is strict: a key that is not a setting is an error, because it is one misspelt.
func (s *settings) takeTOML(name string, text []byte) error {
	var values map[string]toml.Primitive
	meta, err := toml.Decode(string(text), &values)
	if err != nil {
		return usageError(fmt.Sprintf("%s: %v", name, err))
	}
	rows := s.rows()
	for _, key := range meta.Keys() { // in the order of the file
		at := slices.IndexFunc(rows, func(r row) bool { return r.key() == key.String() })
		if at < 0 {
			return usageError(fmt.Sprintf("%s: %s is no setting: see grove serve --help", name, key))
		}
		if err := takePrimitive(meta, values[key.String()], rows[at].into); err != nil {
			return usageError(fmt.Sprintf("%s: %v", name, err))
		}
		s.origin[rows[at].field] = name + ": " + key.String()
	}
	return nil
}

// takePrimitive decodes a value. A table of members is text there as it is in a flag.
func takePrimitive(meta toml.MetaData, value toml.Primitive, into any) error {
	table, ok := into.(*member.Table)
	if !ok {
		return meta.PrimitiveDecode(value, into)
	}
	var text string
	if err := meta.PrimitiveDecode(value, &text); err != nil {
		return err
	}
	return parseInto(table, text)
}

// takeZoo takes what a zoo.cfg says, and ZooKeeper's default where that differs and matters.
func (s *settings) takeZoo(name string, text []byte, read func(string) ([]byte, error)) error {
	f, err := zoocfg.Parse(text)
	if err != nil {
		return usageError(fmt.Sprintf("%s: %v", name, err))
	}
	if f.Keys > 0 && len(f.Unknown) == f.Keys {
		return usageError(fmt.Sprintf("%s has no key of a zoo.cfg: a file of Grove's own must end in .toml", name))
	}
	if err := readDynamic(f, read); err != nil {
		return usageError(fmt.Sprintf("%s: %v", name, err))
	}
	s.applyZoo(name, f)
	if err := s.applyQuorum(f, read); err != nil {
		return usageError(fmt.Sprintf("%s: %v", name, err))
	}
	if err := s.applyZooTLS(name, f); err != nil {
		return usageError(fmt.Sprintf("%s: %v", name, err))
	}
	s.ineffective = withoutEffect(name, f)
	return nil
}
