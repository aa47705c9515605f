package checkpoint

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
)

func TestRandom(t *testing.T) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 0))
		w := newWorld(t)
		s := openStore(t, filepath.Join(t.TempDir(), "state"))
		for range 40 {
			w.stir(r, 1+r.IntN(1<<r.IntN(11)))
			w.save(s)
			if r.IntN(3) == 0 {
				s = reopen(t, s)
				same(t, s, w.machine.View())
			}
		}
		s.Close()
		sum, err := Check(s.path, func(e *CorruptError) { t.Error(e) })
		t.Logf("%+v %v", sum, err)
	}
}
