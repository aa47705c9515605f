package client

// deque is a queue that can be put back to. The zero value is empty.
type deque[T any] struct {
	ring  []T // its length is a power of two, or zero
	first int
	count int
}

func (d *deque[T]) len() int { return d.count }

// at returns the i-th from the front.
func (d *deque[T]) at(i int) T { return d.ring[(d.first+i)&(len(d.ring)-1)] }

func (d *deque[T]) push(v T) {
	d.grow()
	d.ring[(d.first+d.count)&(len(d.ring)-1)] = v
	d.count++
}

// unshift puts v in front of all others.
func (d *deque[T]) unshift(v T) {
	d.grow()
	d.first = (d.first - 1) & (len(d.ring) - 1)
	d.ring[d.first] = v
	d.count++
}

func (d *deque[T]) pop() T {
	v := d.ring[d.first]
	var zero T
	d.ring[d.first] = zero // what was in the queue must not outlive it there
	d.first = (d.first + 1) & (len(d.ring) - 1)
	d.count--
	return v
}

// last takes the one at the back.
func (d *deque[T]) last() T {
	d.count--
	at := (d.first + d.count) & (len(d.ring) - 1)
	v := d.ring[at]
	var zero T
	d.ring[at] = zero
	return v
}

// keep drops what f does not want, in order.
func (d *deque[T]) keep(f func(T) bool) {
	for range d.count {
		if v := d.pop(); f(v) {
			d.push(v)
		}
	}
}

func (d *deque[T]) grow() {
	if d.count < len(d.ring) {
		return
	}
	ring := make([]T, max(16, 2*len(d.ring)))
	for i := range d.count {
		ring[i] = d.at(i)
	}
	d.ring, d.first = ring, 0
}
