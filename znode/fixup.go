package znode

// FixUp turns the list a client asks for into the list to be stored: duplicates dropped, "auth"
// entries replaced by who the client is, every other entry checked. It returns ErrInvalidACL,
// or ErrMarshalling for a null id where ZooKeeper trips over one.
func FixUp(requested []ACE, ids []Identity) (ACL, error) {
	if len(requested) == 1 && requested[0] == openACL.rules[0].ACE {
		return openACL, nil
	}
	entries := make([]ACE, 0, len(requested))
	for i, e := range requested {
		if contains(requested[:i], e) {
			continue
		}
		var err error
		if entries, err = fixEntry(entries, e, ids); err != nil {
			return nil, err
		}
	}
	if len(entries) == 0 {
		return nil, ErrInvalidACL
	}
	return listOf(entries), nil
}

func fixEntry(entries []ACE, e ACE, ids []Identity) ([]ACE, error) {
	if e.SchemeNull {
		return nil, ErrInvalidACL
	}
	if e.Scheme == "auth" {
		return expandAuth(entries, e.Perms, ids)
	}
	s := schemeOf(e.Scheme)
	switch {
	case s == nil:
		return nil, ErrInvalidACL
	case e.IDNull:
		return nil, ErrMarshalling
	case !s.valid(e.ID):
		return nil, ErrInvalidACL
	}
	return append(entries, e), nil
}

// expandAuth adds one entry per identity that was proven, as opposed to observed or granted, in
// ZooKeeper's order. It does not drop what the list already holds: ZooKeeper compares only what the client wrote.
func expandAuth(entries []ACE, perms int32, ids []Identity) ([]ACE, error) {
	n := len(entries)
	for _, id := range hashOrder(ids) {
		if s := schemeOf(id.Scheme); s != nil && s.expands {
			entries = append(entries, ACE{Perms: perms, Scheme: id.Scheme, ID: id.ID})
		}
	}
	if len(entries) == n {
		return nil, ErrInvalidACL
	}
	return entries, nil
}

func contains(entries []ACE, e ACE) bool {
	for _, f := range entries {
		if f == e {
			return true
		}
	}
	return false
}
