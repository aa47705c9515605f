package znode

// Configure replaces the data of "/zookeeper/config", whatever its access list and version are: what is
// written there has been agreed on by other means. The node's version is -1 from then on, as in
// ZooKeeper.
func (t *Tree) Configure(e *Edit, data []byte) error {
	if len(data) > dataLenMax {
		return ErrBadArguments
	}
	old := t.Get(configPath)
	f := old.facts
	f.version, f.mzxid, f.mtime = -1, e.Zxid, e.Time
	t.put(old.withData(f, data))
	e.changed(DataSet, configPath, old.acl, nil)
	t.charge(e, configPath, 0, int64(len(data))-int64(len(old.Data())))
	return nil
}
