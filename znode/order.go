package znode

import (
	"cmp"
	"slices"
)

// hashOrder returns ids as Apache ZooKeeper goes through the identities of a connection: it keeps them
// in a hash set, so that the list a client gets back for "auth" is neither in the order of the proofs
// nor sorted. Clients compare such lists. Reproduced from Java's documented string hash and the walk of its
// ConcurrentHashMap: by bucket, and within one by age.
func hashOrder(ids []Identity) []Identity {
	buckets := uint32(16)
	for len(ids) >= int(buckets)*3/4 {
		buckets *= 2
	}
	ordered := slices.Clone(ids)
	slices.SortStableFunc(ordered, func(a, b Identity) int {
		return cmp.Compare(hashOf(a)&(buckets-1), hashOf(b)&(buckets-1))
	})
	return ordered
}

func hashOf(id Identity) uint32 {
	h := uint32(17)
	h = 37*h + hashText(id.Scheme)
	h = 37*h + hashText(id.ID)
	return h ^ h>>16
}

// hashText is the hash of a string in Java, which counts in units of UTF-16.
func hashText(s string) uint32 {
	h := uint32(0)
	for _, r := range s {
		if r > 0xFFFF {
			r -= 0x10000
			h = 31*h + uint32(0xD800+r>>10)
			r = 0xDC00 + r&0x3FF
		}
		h = 31*h + uint32(r)
	}
	return h
}
