package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/grovekeeper/grove/server/state"
)

// sample is the bytes of a small file with something of everything: branch pages, pages that run
// on, inline buckets, staged records, free pages.
func sample(t testing.TB) ([]byte, *state.View) {
	s := openStore(t, filepath.Join(t.TempDir(), "state"))
	w := newWorld(t)
	w.open()
	for i := range 200 {
		w.create(fmt.Sprintf("/%03d", i), "")
	}
	w.create("/big", strings.Repeat("b", 3*pageSize))
	w.create("/"+strings.Repeat("long", 400), "long")
	w.save(s)
	for i := range 20 { // a free list, with holes
		w.set(fmt.Sprintf("/%03d", i*10), strings.Repeat("set", i))
		w.save(s)
	}
	for i := range 30 {
		w.set(fmt.Sprintf("/%03d", i*3), "staged")
	}
	w.delete("/001")
	w.open()
	v, d := w.view()
	if err := s.stage(v, s.next(v, d, Meta{Extra: []byte("extra"), State: v.Meta()})); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	return file, v
}

func stop(e *CorruptError) error { return e }

// loadBytes loads b like a file.
func loadBytes(b []byte, report reportFunc) (*contents, error) {
	return load(&image{"sample", bytes.NewReader(b), int64(len(b))}, report)
}

// refused checks that err is about damage, and says where.
func refused(err error) (*CorruptError, bool) {
	e := (*CorruptError)(nil)
	return e, errors.As(err, &e) && e.File == "sample" && e.Reason != "" && e.Error() != ""
}

// Flip one bit in any byte of the file: it is refused, or it was in a place that means nothing, and
// then nothing is different.
func TestFlips(t *testing.T) {
	file, v := sample(t)
	want := dump(v)
	if c, err := loadBytes(file, stop); err != nil || dump(c.machine.View()) != want {
		t.Fatalf("the sample itself: %v", err)
	}
	used := usedBytes(t, file)
	r := rand.New(rand.NewPCG(1, 1))
	flips, refusals := 0, 0
	for at := range file {
		inside := at % pageSize
		head := inside < headerSize || at < 2*pageSize && inside < 80
		if !head && at%101 != 0 { // all of them would take a minute
			continue
		}
		bit := byte(1) << r.IntN(8)
		file[at] ^= bit
		c, err := loadBytes(file, stop)
		file[at] ^= bit
		flips++
		if err != nil {
			refusals++
			if _, ok := refused(err); !ok {
				t.Fatalf("bit %#x of byte %d: %v", bit, at, err)
			}
			continue
		}
		if used[at] {
			p := parsePage(0, file[at-inside:])
			t.Errorf("bit %#x of byte %d (page %d, byte %d, %d elements of type %#x) passed", bit, at, at/pageSize, inside, p.count, p.flags)
		}
		if got := c.machine.View(); got.Digest() != v.Digest() || flips%50 == 0 && dump(got) != want {
			t.Fatalf("bit %#x of byte %d was served", bit, at)
		}
	}
	if refusals < flips/10 {
		t.Errorf("%d of %d flips were refused", refusals, flips)
	}
}

// usedBytes says of each byte of a file whether it means something: the metas but for their unused
// fields, and in pages in use all but what is behind the last element.
func usedBytes(t *testing.T, file []byte) []bool {
	used := make([]bool, len(file))
	mark := func(from, to int) {
		for i := from; i < to; i++ {
			used[i] = true
		}
	}
	w, err := newWalker(&image{"sample", bytes.NewReader(file), int64(len(file))}, stop)
	if err != nil {
		t.Fatal(err)
	}
	mark(0, 10)
	mark(16, 80)
	mark(pageSize, pageSize+10)
	mark(pageSize+16, pageSize+80)
	free := map[uint64]bool{}
	list := parsePage(0, file[w.meta.freelist*pageSize:])
	for i := range list.count {
		free[binary.NativeEndian.Uint64(list.buf[headerSize+8*i:])] = true
	}
	for id := uint64(2); id < w.meta.end; id++ {
		if free[id] {
			continue
		}
		at := int(id) * pageSize
		p := parsePage(int64(at), file[at:])
		end := p.next // of what is used
		switch p.flags {
		case flagFreelist:
			end = headerSize + 8*p.count
		case flagLeaf:
			for i := range p.count {
				p.leaf(i)
			}
			end = p.next
		case flagBranch:
			for i := range p.count {
				p.branch(i)
			}
			end = p.next
		}
		mark(at, at+end)
		id += p.overflow
	}
	return used
}

// A sector, or a page, that reads as zeros or as another one of the same file.
func TestWrongSectors(t *testing.T) {
	file, v := sample(t)
	r := rand.New(rand.NewPCG(2, 2))
	for _, size := range []int{512, pageSize} {
		for at := 0; at < len(file); at += size {
			for _, from := range []int{-1, r.IntN(len(file)/size) * size} {
				bad := bytes.Clone(file)
				clear(bad[at : at+size])
				if from >= 0 {
					copy(bad[at:at+size], file[from:])
				}
				if bytes.Equal(bad, file) {
					continue
				}
				c, err := loadBytes(bad, stop)
				if err == nil && c.machine.View().Digest() != v.Digest() {
					t.Fatalf("%d bytes at %d, of %d, were served", size, at, from)
				}
				if _, ok := refused(err); err != nil && !ok {
					t.Fatalf("%d bytes at %d, of %d: %v", size, at, from, err)
				}
			}
		}
	}
}

// A file that is too short is refused; one that is too long has free space at its end.
func TestWrongLength(t *testing.T) {
	file, _ := sample(t)
	w, err := newWalker(&image{"sample", bytes.NewReader(file), int64(len(file))}, stop)
	if err != nil {
		t.Fatal(err)
	}
	for size := 0; size < int(w.meta.end)*pageSize; size += 777 {
		if _, ok := refused(second(loadBytes(file[:size], stop))); !ok {
			t.Fatalf("%d bytes of %d were not refused", size, len(file))
		}
	}
	if _, err := loadBytes(append(bytes.Clone(file), make([]byte, 10000)...), stop); err != nil {
		t.Fatal(err)
	}
}

func second[T any](_ T, err error) error { return err }

// The message of a CorruptError names the file, the place and the record.
func TestCorruptErrorNames(t *testing.T) {
	file, _ := sample(t)
	at := bytes.Index(file, []byte(strings.Repeat("b", 100)))
	file[at] = 'c'
	e, ok := refused(second(loadBytes(file, stop)))
	if !ok {
		t.Fatal("not refused")
	}
	if e.Key != `nodes "/big"` || e.Offset/pageSize != int64(at)/pageSize || e.Offset%pageSize != 0 {
		t.Errorf("%+v, want the node /big at page %d", e, at/pageSize)
	}
	want := fmt.Sprintf("checkpoint sample is damaged at offset %d (page %d), nodes \"/big\": checksum mismatch", e.Offset, e.Offset/pageSize)
	if e.Error() != want {
		t.Errorf("%q, want %q", e.Error(), want)
	}
}

// A file that fails to be read is not called damaged.
func TestReadError(t *testing.T) {
	file, _ := sample(t)
	broken := errors.New("broken")
	for id := range uint64(len(file) / pageSize) {
		_, err := load(&image{"sample", failingReader{file, int64(id) * pageSize, broken}, int64(len(file))}, stop)
		if _, damaged := refused(err); damaged || err != nil && !errors.Is(err, broken) {
			t.Fatalf("page %d: %v", id, err)
		}
	}
}

type failingReader struct {
	b   []byte
	at  int64
	err error
}

func (r failingReader) ReadAt(b []byte, at int64) (int, error) {
	if at <= r.at && r.at < at+int64(len(b)) {
		return 0, r.err
	}
	n := copy(b, r.b[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// Check goes on behind what is damaged, and finds the rest as well.
func TestCheckFindsAll(t *testing.T) {
	file, _ := sample(t)
	for _, text := range []string{strings.Repeat("b", 100), strings.Repeat("set", 19), "extra"} {
		file = bytes.ReplaceAll(file, []byte(text), []byte(strings.ToUpper(text)))
	}
	var found []string
	sum, err := check(&image{"sample", bytes.NewReader(file), int64(len(file))}, func(e *CorruptError) {
		found = append(found, e.Key)
	})
	if err != nil || len(found) < 3 {
		t.Fatalf("found %q, %v", found, err)
	}
	for _, want := range []string{`nodes "/big"`, `nodes "/190"`, "meta"} {
		if !strings.Contains(strings.Join(found, "; "), want) {
			t.Errorf("found %q, not %s", found, want)
		}
	}
	if sum.Nodes < 190 || sum.Bytes != int64(len(file)) {
		t.Errorf("%+v", sum)
	}
}

func TestCheckMetaPage(t *testing.T) {
	file, _ := sample(t)
	file[40] ^= 1
	var found []*CorruptError
	_, err := check(&image{"sample", bytes.NewReader(file), int64(len(file))}, func(e *CorruptError) {
		found = append(found, e)
	})
	if err != nil || len(found) != 1 || found[0].Offset != 0 {
		t.Fatalf("found %v, %v", found, err)
	}
}

// A bit that means nothing may be wrong without harm to what is written later.
func TestWriteOverHarmlessFlips(t *testing.T) {
	w, s, _ := grown(t)
	w.save(s)
	s.Close()
	file, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	for at, used := range usedBytes(t, file) {
		if !used {
			file[at] ^= 0xFF
		}
	}
	if err := os.WriteFile(s.path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, s.path)
	r := rand.New(rand.NewPCG(9, 9))
	for range 5 {
		w.stir(r, 100)
		w.save(s)
	}
	s = reopen(t, s)
	same(t, s, w.machine.View())
}

// Files of bbolt that are not ours are refused, as is anything else.
func TestForeignFiles(t *testing.T) {
	dir := t.TempDir()
	for name, fill := range map[string]func(*bbolt.Tx) error{
		"empty":  func(*bbolt.Tx) error { return nil },
		"other":  func(tx *bbolt.Tx) error { return second(tx.CreateBucket([]byte("other"))) },
		"nested": nested,
	} {
		path := filepath.Join(dir, name)
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{PageSize: pageSize})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Update(fill); err != nil {
			t.Fatal(err)
		}
		db.Close()
		if _, err := Open(path, swift); !errors.As(err, new(*CorruptError)) {
			t.Errorf("%s: got %v, want a CorruptError", name, err)
		}
	}
	for name, b := range map[string][]byte{"nothing": {}, "text": []byte("not a checkpoint"), "noise": make([]byte, 1<<16)} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, swift); !errors.As(err, new(*CorruptError)) {
			t.Errorf("%s: got %v, want a CorruptError", name, err)
		}
	}
}

func nested(tx *bbolt.Tx) error {
	for b := metaBucket; int(b) < len(bucketNames); b++ {
		in, err := tx.CreateBucket([]byte(b.String()))
		if err == nil {
			_, err = in.CreateBucket([]byte("inside"))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// FuzzLoad feeds bytes that look like a file, changed anywhere: nothing panics, runs in circles or
// takes memory out of proportion, and what is served was stored.
func FuzzLoad(f *testing.F) {
	path := filepath.Join(f.TempDir(), "state")
	s := openStore(f, path)
	w := newWorld(f)
	w.stir(rand.New(rand.NewPCG(1, 1)), 300)
	w.save(s)
	w.stir(rand.New(rand.NewPCG(1, 2)), 100)
	w.save(s)
	s.Close()
	file, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	digest := w.machine.Digest()
	f.Add(uint32(pageSize+64), []byte{1}, uint32(0), []byte{})
	f.Add(uint32(2*pageSize+8), []byte{3}, uint32(5*pageSize+10), []byte{255, 255, 1, 0})
	f.Fuzz(func(t *testing.T, at1 uint32, change1 []byte, at2 uint32, change2 []byte) {
		b := bytes.Clone(file)
		for i, c := range change1 {
			b[(int(at1)+i)%len(b)] ^= c
		}
		for i, c := range change2 {
			b[(int(at2)+i)%len(b)] ^= c
		}
		c, err := loadBytes(b, stop)
		if err == nil && c.machine.Digest() != digest {
			t.Fatal("served what was not stored")
		}
		if _, ok := refused(err); err != nil && !ok {
			t.Fatal(err)
		}
		if _, err := loadBytes(b, func(*CorruptError) error { return nil }); err != nil {
			if _, ok := refused(err); !ok {
				t.Fatal(err)
			}
		}
	})
}
