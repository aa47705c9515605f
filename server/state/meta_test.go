package state

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/grovekeeper/grove/session"
	"github.com/grovekeeper/grove/znode"
)

func TestMetaRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Meta{
			Zxid:   znode.Zxid(rapid.Int64().Draw(t, "zxid")),
			Time:   rapid.Int64().Draw(t, "time"),
			Digest: rapid.Uint64().Draw(t, "digest"),
		}
		for server := range rapid.IntRange(0, 5).Draw(t, "servers") {
			m.Origins = append(m.Origins, Origin{
				Server: uint8(50 * server), Boot: rapid.Uint64().Draw(t, "boot"), Seq: rapid.Uint64().Draw(t, "seq"),
			})
		}
		data := AppendMeta(nil, m)
		got, err := DecodeMeta(data)
		if err != nil || !cmp.Equal(m, got) {
			t.Fatalf("%v, %s", err, cmp.Diff(m, got))
		}
		cut := rapid.IntRange(0, len(data)-1).Draw(t, "cut")
		if _, err := DecodeMeta(data[:cut]); !errors.Is(err, ErrMeta) {
			t.Fatalf("cut at %d of %d: %v", cut, len(data), err)
		}
		if _, err := DecodeMeta(append(data, 0)); !errors.Is(err, ErrMeta) {
			t.Fatalf("a byte too many: %v", err)
		}
	})
}

// The order of origins is what look-ups rely on: a record that breaks it is refused.
func TestMetaRefusesDisorder(t *testing.T) {
	for _, origins := range [][]Origin{{{1, 1, 1}, {1, 2, 1}}, {{2, 1, 1}, {1, 1, 1}}} {
		if _, err := DecodeMeta(AppendMeta(nil, Meta{Origins: origins})); !errors.Is(err, ErrMeta) {
			t.Errorf("%v: %v", origins, err)
		}
	}
	data := AppendMeta(nil, Meta{})
	data[0]++
	if _, err := DecodeMeta(data); !errors.Is(err, ErrMeta) {
		t.Errorf("another version: %v", err)
	}
}

// Whatever part of an image is not what was stored, Restore notices.
func TestRestoreComparesDigests(t *testing.T) {
	s := newStage(t)
	s.perform("open s1 server=1 origin=1/1/1\ns1 create /a one time=5\ns1 create /b flags=1")
	v := s.machine.View()
	for name, spoil := range map[string]func(m *Meta, nodes *znode.Tree, sessions *session.Table) error{
		"zxid":    func(m *Meta, _ *znode.Tree, _ *session.Table) error { m.Zxid++; return nil },
		"time":    func(m *Meta, _ *znode.Tree, _ *session.Table) error { m.Time++; return nil },
		"digest":  func(m *Meta, _ *znode.Tree, _ *session.Table) error { m.Digest ^= 1; return nil },
		"origins": func(m *Meta, _ *znode.Tree, _ *session.Table) error { m.Origins = nil; return nil },
		"origin": func(m *Meta, _ *znode.Tree, _ *session.Table) error {
			m.Origins = []Origin{{Server: 1, Boot: 1, Seq: 2}}
			return nil
		},
		"node": func(_ *Meta, nodes *znode.Tree, _ *session.Table) error {
			_, err := nodes.Set(&znode.Edit{}, "/a", []byte("two"), -1)
			return err
		},
		"lost node": func(_ *Meta, nodes *znode.Tree, _ *session.Table) error {
			return nodes.Delete(&znode.Edit{}, "/b", -1)
		},
		"lost session": func(_ *Meta, _ *znode.Tree, sessions *session.Table) error {
			return sessions.Close(1<<56 | 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			meta, nodes, sessions := v.Meta(), v.Nodes.Clone(), v.Sessions.Clone()
			if _, err := Restore(meta, nodes.Clone(), sessions.Clone()); err != nil {
				t.Fatalf("unspoilt: %v", err)
			}
			if err := spoil(&meta, nodes, sessions); err != nil {
				t.Fatal(err)
			}
			if _, err := Restore(meta, nodes, sessions); !errors.Is(err, ErrDigest) {
				t.Fatalf("restored: %v", err)
			}
		})
	}
}
