package session

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// clerk is the twin of Expiry: a list of who is due when, worked out by the formula.
type clerk struct {
	tickMs int64
	due    map[ID]int64
}

func (c *clerk) touch(id ID, timeoutMs int32, nowMs int64) {
	c.due[id] = ((nowMs+int64(max(0, timeoutMs)))/c.tickMs + 1) * c.tickMs
}

func (c *clerk) expired(nowMs int64) []ID {
	var ids []ID
	for id, at := range c.due {
		if at <= nowMs {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b ID) int {
		return cmp.Or(cmp.Compare(c.due[a], c.due[b]), cmp.Compare(a, b))
	})
	for _, id := range ids {
		delete(c.due, id)
	}
	return ids
}

// FuzzExpiry runs a script against the book of deadlines and its twin: sessions come, are heard of
// with longer and shorter timeouts and at times that go back, are closed and come again, while the
// clock stands still, ticks, and leaps.
func FuzzExpiry(f *testing.F) {
	rng := rand.New(rand.NewPCG(5, 6))
	for tick := range byte(20) {
		script := make([]byte, 3000)
		for i := range script {
			script[i] = byte(rng.Uint32())
		}
		f.Add(tick, script)
	}
	f.Fuzz(func(t *testing.T, tick byte, script []byte) {
		tickMs := int64(tick) + 1
		book, twin := NewExpiry(tickMs), &clerk{tickMs, map[ID]int64{}}
		now := int64(0)
		for ; len(script) >= 3; script = script[3:] {
			id, n := ID(script[1]%32), int64(script[2])
			switch script[0] % 16 {
			default:
				at := max(0, now-n%7)
				book.Touch(id, int32(n*3)-30, at)
				twin.touch(id, int32(n*3)-30, at)
			case 0:
				book.Remove(id)
				delete(twin.due, id)
			case 1, 2, 3:
				now += n / 8
			case 4:
				now += n * 10
			case 5, 6, 7:
				if got, want := book.Due(now), twin.expired(now); !slices.Equal(got, want) {
					t.Fatalf("due at %d: %v, want %v", now, got, want)
				}
			}
			checkBook(t, book, twin)
		}
		if got, want := book.Due(math.MaxInt64), twin.expired(math.MaxInt64); !slices.Equal(got, want) || book.Len() != 0 {
			t.Fatalf("due in the end: %v, want %v; %d left", got, want, book.Len())
		}
	})
}

// checkBook checks what the book knows, and that its buckets are in order and none is empty.
func checkBook(t *testing.T, book *Expiry, twin *clerk) {
	t.Helper()
	if book.Len() != len(twin.due) {
		t.Fatalf("%d sessions, want %d", book.Len(), len(twin.due))
	}
	for id, want := range twin.due {
		if at, ok := book.Deadline(id); !ok || at != want {
			t.Fatalf("session %v is due at %d, %v; want %d", id, at, ok, want)
		}
	}
	for i, b := range book.buckets {
		if i > 0 && book.buckets[i-1].deadline >= b.deadline || b.deadline%book.tickMs != 0 || len(b.ids) == 0 {
			t.Fatalf("bucket %d of %d at %d holds %d", i, len(book.buckets), b.deadline, len(b.ids))
		}
	}
}

// TestNotEarlyNotLate states the window of protocol.md 7.2 (E1, E2): due no sooner than the timeout
// after it was last heard of, and no later than a tick after that.
func TestNotEarlyNotLate(t *testing.T) {
	const tickMs, timeoutMs = 100, 450
	for touched := range int64(250) {
		book := NewExpiry(tickMs)
		book.Touch(1, timeoutMs, touched)
		now := touched
		for book.Due(now) == nil {
			now++
		}
		if silence := now - touched; silence <= timeoutMs || silence > timeoutMs+tickMs {
			t.Fatalf("heard of at %d, due after %d", touched, silence)
		}
	}
}

// TestPingsFileNothing states what a ping costs in memory: a session that is heard of all the time
// is filed once per timeout.
func TestPingsFileNothing(t *testing.T) {
	book := NewExpiry(100)
	book.Touch(1, 10_000, 0)
	for now := range int64(10_000) {
		book.Touch(1, 10_000, now)
	}
	if n := filed(book); n != 1 {
		t.Errorf("filed %d times", n)
	}
	if due := book.Due(19_000); due != nil {
		t.Errorf("due: %v", due)
	}
}

// TestStaleFilingsEnd states that a session whose timeout goes up and down leaves nothing behind but
// until the longest of them is over.
func TestStaleFilingsEnd(t *testing.T) {
	book := NewExpiry(100)
	for now := int64(0); now < 1_000_000; now += 50 {
		book.Touch(1, int32(now%7)*150+1000, now)
		if due := book.Due(now); due != nil {
			t.Fatalf("due at %d: %v", now, due)
		}
		if n := filed(book); n > 2000/100 {
			t.Fatalf("filed %d times at %d", n, now)
		}
	}
}

func filed(book *Expiry) (n int) {
	for _, b := range book.buckets {
		n += len(b.ids)
	}
	return n
}

// TestGrantAll states E6: a new leader gives every session its full timeout, whatever it thought it
// knew, and knows nothing of those that are gone.
func TestGrantAll(t *testing.T) {
	table, book := NewTable(), NewExpiry(100)
	for id := range ID(10) {
		if err := table.Open(Session{ID: id + 1, TimeoutMs: int32(id+1) * 1000, Epoch: 1}); err != nil {
			t.Fatal(err)
		}
		book.Touch(id+1, 1000, 0)
	}
	book.Touch(99, 1000, 0)
	book.GrantAll(table, 5050)
	for id := range ID(10) {
		if at, _ := book.Deadline(id + 1); at != 5100+int64(id+1)*1000 {
			t.Errorf("session %v is due at %d", id+1, at)
		}
	}
	if _, ok := book.Deadline(99); ok || book.Len() != 10 {
		t.Errorf("%d deadlines", book.Len())
	}
	if due := book.Due(6100); !slices.Equal(due, []ID{1}) {
		t.Errorf("due: %v", due)
	}
}

// TestDueAgain states how a verdict is repeated that could not be acted upon.
func TestDueAgain(t *testing.T) {
	book := NewExpiry(100)
	book.Touch(1, 1000, 0)
	if due := book.Due(1100); !slices.Equal(due, []ID{1}) {
		t.Fatalf("due: %v", due)
	}
	if due := book.Due(5000); due != nil {
		t.Fatalf("due twice: %v", due)
	}
	book.Touch(1, 0, 5000)
	if due := book.Due(5100); !slices.Equal(due, []ID{1}) {
		t.Fatalf("due again: %v", due)
	}
}

func TestTickMustBePositive(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a tick of zero was accepted")
		}
	}()
	NewExpiry(0)
}
