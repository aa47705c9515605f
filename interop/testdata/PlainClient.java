import static org.apache.zookeeper.ZooDefs.Ids.CREATOR_ALL_ACL;
import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;
import static org.apache.zookeeper.ZooDefs.Ids.READ_ACL_UNSAFE;

import java.util.Arrays;
import java.util.List;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Stat;

/** What the Java client of Apache ZooKeeper does against a server. */
public final class PlainClient {
    private final String addr;
    private final String root;
    private final Report.Events session = new Report.Events();
    private final Report.Events once = new Report.Events(); // on root/away, across the restart
    private final Report.Events below = new Report.Events(); // likewise, for good
    private final ZooKeeper zk;

    private PlainClient(String addr, String root) throws Exception {
        this.addr = addr;
        this.root = root;
        zk = new ZooKeeper(addr, 10_000, session);
        session.await("SyncConnected");
    }

    public static void main(String[] args) throws Exception {
        PlainClient c = new PlainClient(args[0], args[1]);
        Report.row("create", c::create);
        Report.row("read", c::read);
        Report.row("update", c::update);
        Report.row("delete", c::delete);
        Report.row("ephemeral", c::ephemeral);
        Report.row("sequential", c::sequential);
        Report.row("container", c::container);
        Report.row("TTL", c::ttl);
        Report.row("multi", c::multi);
        Report.row("ACL", c::acl);
        Report.row("one-shot watch", c::oneShot);
        Report.row("persistent watch", c::persistent);
        Report.row("recursive watch", c::recursive);
        Report.row("session after a restart", c::back);
        Report.row("events missed meanwhile", c::missed);
        for (String row : List.of("lock", "election", "cache")) {
            System.out.println("lacks " + row + ": client has no recipes; Curator has, see its column");
        }
        c.zk.close();
        System.out.println("done");
    }

    private static byte[] bytes(String s) {
        return s.getBytes();
    }

    private String at(String name) {
        return root + "/" + name;
    }

    private String make(String path, CreateMode mode) throws Exception {
        return zk.create(path, bytes("x"), OPEN_ACL_UNSAFE, mode);
    }

    private void create() throws Exception {
        Report.same("path", zk.create(root, bytes("one"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT), root);
        Report.fails(Code.NODEEXISTS, () -> make(root, CreateMode.PERSISTENT));
        Report.fails(Code.NONODE, () -> make(at("no/parent"), CreateMode.PERSISTENT));
        Stat stat = new Stat();
        zk.create(at("two"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, stat);
        Report.same("length", stat.getDataLength(), 0);
        Report.same("data", zk.getData(at("two"), false, stat), null);
    }

    private void read() throws Exception {
        Stat stat = new Stat();
        Report.same("data", new String(zk.getData(root, false, stat)), "one");
        Report.same("children", zk.getChildren(root, false, stat), List.of("two"));
        Report.same("cversion", stat.getCversion(), 1);
        Report.same("children in all", zk.getAllChildrenNumber(root), 1);
        Report.same("absent", zk.exists(at("nothing"), false), null);
        Report.same("who", zk.whoAmI().get(0).getAuthScheme(), "ip");
        List<OpResult> both = zk.multi(List.of(Op.getData(root), Op.getChildren(root)));
        Report.same("read in one", new String(((OpResult.GetDataResult) both.get(0)).getData()), "one");
        Report.same("listed in one", ((OpResult.GetChildrenResult) both.get(1)).getChildren(), List.of("two"));
    }

    private void update() throws Exception {
        Report.same("version", zk.setData(root, bytes("two"), 0).getVersion(), 1);
        Report.same("data", new String(zk.getData(root, false, null)), "two");
        Report.fails(Code.BADVERSION, () -> zk.setData(root, null, 7));
    }

    private void delete() throws Exception {
        Report.fails(Code.NOTEMPTY, () -> zk.delete(root, -1));
        Report.fails(Code.BADVERSION, () -> zk.delete(at("two"), 3));
        zk.delete(at("two"), 0);
        Report.fails(Code.NONODE, () -> zk.delete(at("two"), 0));
    }

    private void ephemeral() throws Exception {
        make(at("mine"), CreateMode.EPHEMERAL);
        Report.same("owner", zk.exists(at("mine"), false).getEphemeralOwner(), zk.getSessionId());
        Report.fails(Code.NOCHILDRENFOREPHEMERALS, () -> make(at("mine/child"), CreateMode.PERSISTENT));
        Report.same("own", zk.getEphemerals(root), List.of(at("mine")));
        Report.Events gone = new Report.Events();
        ZooKeeper other = another();
        other.create(at("theirs"), null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        zk.exists(at("theirs"), gone);
        other.close();
        gone.exactly("NodeDeleted " + at("theirs"));
    }

    private ZooKeeper another() throws Exception {
        Report.Events connected = new Report.Events();
        ZooKeeper other = new ZooKeeper(addr, 10_000, connected);
        connected.await("SyncConnected");
        return other;
    }

    private void sequential() throws Exception {
        make(at("seq"), CreateMode.PERSISTENT);
        Report.same("first", make(at("seq/n-"), CreateMode.PERSISTENT_SEQUENTIAL), at("seq/n-0000000000"));
        Report.same("next", make(at("seq/m-"), CreateMode.EPHEMERAL_SEQUENTIAL), at("seq/m-0000000001"));
    }

    private void container() throws Exception {
        Report.Events gone = new Report.Events();
        make(at("box"), CreateMode.CONTAINER);
        make(at("box/child"), CreateMode.PERSISTENT);
        zk.exists(at("box"), gone);
        zk.delete(at("box/child"), -1);
        gone.exactly("NodeDeleted " + at("box"));
    }

    private void ttl() throws Exception {
        Report.Events gone = new Report.Events();
        Stat stat = new Stat();
        zk.create(at("brief"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, stat, 500);
        zk.exists(at("brief"), gone);
        gone.exactly("NodeDeleted " + at("brief"));
    }

    private void multi() throws Exception {
        List<OpResult> held = zk.multi(List.of(
                Op.create(at("m"), bytes("1"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                Op.create(at("m/n-"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL),
                Op.create(at("m/box"), null, OPEN_ACL_UNSAFE, CreateMode.CONTAINER),
                Op.create(at("m/ttl"), null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, 60_000),
                Op.setData(at("m"), bytes("2"), 0),
                Op.check(at("m"), 1),
                Op.delete(at("m/n-0000000000"), -1)));
        Report.same("created", ((OpResult.CreateResult) held.get(1)).getPath(), at("m/n-0000000000"));
        Report.same("version", ((OpResult.SetDataResult) held.get(4)).getStat().getVersion(), 1);
        try {
            zk.multi(List.of(Op.setData(at("m"), bytes("3"), -1), Op.check(at("m"), 9), Op.delete(at("m"), -1)));
            throw new AssertionError("no error");
        } catch (KeeperException e) {
            Report.same("error", e.code(), Code.BADVERSION);
            int[] codes = e.getResults().stream().mapToInt(r -> ((OpResult.ErrorResult) r).getErr()).toArray();
            Report.same("codes", Arrays.toString(codes), "[0, -103, -2]");
        }
        Report.same("data", new String(zk.getData(at("m"), false, null)), "2");
    }

    private void acl() throws Exception {
        zk.addAuthInfo("digest", bytes("bob:builder"));
        zk.create(at("private"), bytes("secret"), CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        ACL one = zk.getACL(at("private"), null).get(0);
        Report.same("list", one.getId().getScheme() + ":" + one.getId().getId(), "digest:bob:4rsXV9JgUbFl9ZE40xENilxlRV8=");
        ZooKeeper stranger = another();
        Report.fails(Code.NOAUTH, () -> stranger.getData(at("private"), false, null));
        Report.fails(Code.NOAUTH, () -> stranger.setACL(at("private"), OPEN_ACL_UNSAFE, -1));
        Report.same("version", zk.setACL(at("private"), READ_ACL_UNSAFE, 0).getAversion(), 1);
        Report.same("now readable", new String(stranger.getData(at("private"), false, null)), "secret");
        Report.fails(Code.INVALIDACL, () -> zk.setACL(root, List.of(), -1));
        stranger.close();
    }

    private void oneShot() throws Exception {
        Report.Events born = new Report.Events();
        Report.Events changed = new Report.Events();
        Report.Events children = new Report.Events();
        String path = at("watched");
        zk.exists(path, born);
        make(path, CreateMode.PERSISTENT);
        born.exactly("NodeCreated " + path);
        zk.getData(path, changed, null);
        zk.getChildren(path, children);
        zk.setData(path, bytes("2"), -1);
        zk.setData(path, bytes("3"), -1);
        make(path + "/child", CreateMode.PERSISTENT);
        children.exactly("NodeChildrenChanged " + path);
        changed.exactly("NodeDataChanged " + path);
    }

    private void persistent() throws Exception {
        Report.Events events = new Report.Events();
        String path = at("lasting");
        zk.addWatch(path, events, AddWatchMode.PERSISTENT);
        make(path, CreateMode.PERSISTENT);
        zk.setData(path, bytes("2"), -1);
        make(path + "/child", CreateMode.PERSISTENT);
        zk.setData(path + "/child", bytes("2"), -1);
        zk.delete(path + "/child", -1);
        zk.delete(path, -1);
        events.exactly("NodeCreated " + path, "NodeDataChanged " + path, "NodeChildrenChanged " + path,
                "NodeChildrenChanged " + path, "NodeDeleted " + path);
        zk.removeWatches(path, events, Watcher.WatcherType.Any, false);
        events.await("PersistentWatchRemoved " + path);
        Report.fails(Code.NOWATCHER, () -> zk.removeAllWatches(path, Watcher.WatcherType.Any, false));
    }

    private void recursive() throws Exception {
        Report.Events events = new Report.Events();
        String path = at("deep");
        zk.addWatch(path, events, AddWatchMode.PERSISTENT_RECURSIVE);
        make(path, CreateMode.PERSISTENT);
        make(path + "/a", CreateMode.PERSISTENT);
        make(path + "/a/b", CreateMode.PERSISTENT);
        zk.setData(path + "/a/b", bytes("2"), -1);
        zk.delete(path + "/a/b", -1);
        events.exactly("NodeCreated " + path, "NodeCreated " + path + "/a", "NodeCreated " + path + "/a/b",
                "NodeDataChanged " + path + "/a/b", "NodeDeleted " + path + "/a/b");
        zk.removeAllWatches(path, Watcher.WatcherType.Any, false);
    }

    private void back() throws Exception {
        make(at("away"), CreateMode.PERSISTENT);
        zk.getData(at("away"), once, null);
        zk.addWatch(at("away"), below, AddWatchMode.PERSISTENT_RECURSIVE);
        long id = zk.getSessionId();
        session.clear();
        Report.restart();
        session.await("SyncConnected");
        Report.same("session", zk.getSessionId(), id);
        Report.same("owner", zk.exists(at("mine"), false).getEphemeralOwner(), id);
        Report.Events resumed = new Report.Events();
        ZooKeeper second = new ZooKeeper(addr, 10_000, resumed, id, zk.getSessionPasswd());
        resumed.await("SyncConnected");
        Report.same("session taken over", second.getSessionId(), id);
        session.clear();
        session.await("SyncConnected"); // the first has lost its connection to the second, and takes it back
    }

    private void missed() throws Exception {
        once.await("NodeDataChanged " + at("away"));
        below.await("NodeDataChanged " + at("away"));
        below.await("NodeCreated " + at("away/born"));
        make(at("away/later"), CreateMode.PERSISTENT);
        below.await("NodeCreated " + at("away/later"));
    }
}
