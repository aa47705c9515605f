import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.Stat;

/** What Apache Curator does against a server. */
public final class CuratorClient {
    private final String addr;
    private final String root;
    private final CuratorFramework curator;
    private final Report.Events once = new Report.Events(); // on root/away, across the restart
    private final Report.Events below = new Report.Events(); // likewise, for good
    private PersistentWatcher watcher; // what feeds below

    private CuratorClient(String addr, String root) throws Exception {
        this.addr = addr;
        this.root = root;
        curator = connect();
    }

    public static void main(String[] args) throws Exception {
        CuratorClient c = new CuratorClient(args[0], args[1]);
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
        Report.row("lock", c::lock);
        Report.row("election", c::election);
        Report.row("cache", c::cache);
        Report.row("session after a restart", c::back);
        Report.row("events missed meanwhile", c::missed);
        c.curator.close();
        System.out.println("done");
    }

    private CuratorFramework connect() throws Exception {
        CuratorFramework made = CuratorFrameworkFactory.newClient(addr, 10_000, 10_000, new ExponentialBackoffRetry(100, 5));
        made.start();
        Report.same("connected", made.blockUntilConnected(20, TimeUnit.SECONDS), true);
        return made;
    }

    private static byte[] bytes(String s) {
        return s.getBytes();
    }

    private String at(String name) {
        return root + "/" + name;
    }

    private void create() throws Exception {
        Report.same("path", curator.create().forPath(root, bytes("one")), root);
        Report.fails(Code.NODEEXISTS, () -> curator.create().forPath(root));
        Report.fails(Code.NONODE, () -> curator.create().forPath(at("no/parent")));
        curator.create().creatingParentContainersIfNeeded().forPath(at("a/b/c"), bytes("deep"));
        Stat stat = new Stat();
        curator.create().orSetData().storingStatIn(stat).forPath(at("two"), bytes("22"));
        Report.same("length", stat.getDataLength(), 2);
    }

    private void read() throws Exception {
        Stat stat = new Stat();
        Report.same("data", new String(curator.getData().storingStatIn(stat).forPath(root)), "one");
        Report.same("cversion", stat.getCversion(), 2);
        Report.same("children", curator.getChildren().forPath(root).size(), 2);
        Report.same("absent", curator.checkExists().forPath(at("nothing")), null);
        curator.sync().forPath(root);
    }

    private void update() throws Exception {
        Report.same("version", curator.setData().withVersion(0).forPath(root, bytes("two")).getVersion(), 1);
        Report.same("idempotent", curator.setData().idempotent().withVersion(1).forPath(root, bytes("three")).getVersion(), 2);
        Report.fails(Code.BADVERSION, () -> curator.setData().withVersion(7).forPath(root));
    }

    private void delete() throws Exception {
        Report.fails(Code.NOTEMPTY, () -> curator.delete().forPath(at("a")));
        curator.delete().guaranteed().deletingChildrenIfNeeded().forPath(at("a"));
        Report.same("gone", curator.checkExists().forPath(at("a")), null);
        Report.fails(Code.BADVERSION, () -> curator.delete().withVersion(3).forPath(at("two")));
        curator.delete().quietly().forPath(at("nothing"));
    }

    private long session() throws Exception {
        return curator.getZookeeperClient().getZooKeeper().getSessionId();
    }

    private void ephemeral() throws Exception {
        curator.create().withMode(CreateMode.EPHEMERAL).forPath(at("mine"));
        Report.same("owner", curator.checkExists().forPath(at("mine")).getEphemeralOwner(), session());
        Report.Events gone = new Report.Events();
        CuratorFramework other = connect();
        other.create().withMode(CreateMode.EPHEMERAL).forPath(at("theirs"));
        curator.checkExists().usingWatcher(gone).forPath(at("theirs"));
        other.close();
        gone.exactly("NodeDeleted " + at("theirs"));
    }

    private void sequential() throws Exception {
        curator.create().forPath(at("seq"));
        String plain = curator.create().withMode(CreateMode.PERSISTENT_SEQUENTIAL).forPath(at("seq/n-"));
        Report.same("first", plain, at("seq/n-0000000000"));
        String guarded = curator.create().withProtection().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath(at("seq/m-"));
        Report.same("next", guarded.endsWith("m-0000000001"), true);
    }

    private void container() throws Exception {
        Report.Events gone = new Report.Events();
        curator.createContainers(at("box"));
        curator.create().forPath(at("box/child"));
        curator.checkExists().usingWatcher(gone).forPath(at("box"));
        curator.delete().forPath(at("box/child"));
        gone.exactly("NodeDeleted " + at("box"));
    }

    private void ttl() throws Exception {
        Report.Events gone = new Report.Events();
        curator.create().withTtl(500).withMode(CreateMode.PERSISTENT_WITH_TTL).forPath(at("brief"));
        curator.checkExists().usingWatcher(gone).forPath(at("brief"));
        gone.exactly("NodeDeleted " + at("brief"));
    }

    private void multi() throws Exception {
        List<CuratorTransactionResult> held = curator.transaction().forOperations(
                curator.transactionOp().create().forPath(at("m"), bytes("1")),
                curator.transactionOp().create().withMode(CreateMode.PERSISTENT_SEQUENTIAL).forPath(at("m/n-")),
                curator.transactionOp().setData().withVersion(0).forPath(at("m"), bytes("2")),
                curator.transactionOp().check().withVersion(1).forPath(at("m")),
                curator.transactionOp().delete().forPath(at("m/n-0000000000")));
        Report.same("created", held.get(1).getResultPath(), at("m/n-0000000000"));
        Report.same("version", held.get(2).getResultStat().getVersion(), 1);
        Report.fails(Code.BADVERSION, () -> curator.transaction().forOperations(
                curator.transactionOp().setData().forPath(at("m"), bytes("3")),
                curator.transactionOp().check().withVersion(9).forPath(at("m"))));
        Report.same("data", new String(curator.getData().forPath(at("m"))), "2");
    }

    private void acl() throws Exception {
        CuratorFramework bob = CuratorFrameworkFactory.builder().connectString(addr).sessionTimeoutMs(10_000)
                .retryPolicy(new ExponentialBackoffRetry(100, 5)).authorization("digest", bytes("bob:builder")).build();
        bob.start();
        bob.create().withACL(Ids.CREATOR_ALL_ACL).forPath(at("private"), bytes("secret"));
        Report.same("list", bob.getACL().forPath(at("private")).get(0).getId().getScheme(), "digest");
        Report.fails(Code.NOAUTH, () -> curator.getData().forPath(at("private")));
        bob.setACL().withVersion(0).withACL(Ids.READ_ACL_UNSAFE).forPath(at("private"));
        Report.same("now readable", new String(curator.getData().forPath(at("private"))), "secret");
        bob.close();
    }

    private void oneShot() throws Exception {
        Report.Events born = new Report.Events();
        Report.Events changed = new Report.Events();
        curator.checkExists().usingWatcher(born).forPath(at("watched"));
        curator.create().forPath(at("watched"));
        born.exactly("NodeCreated " + at("watched"));
        curator.getData().usingWatcher(changed).forPath(at("watched"));
        curator.setData().forPath(at("watched"), bytes("2"));
        curator.setData().forPath(at("watched"), bytes("3"));
        curator.sync().forPath(root);
        changed.exactly("NodeDataChanged " + at("watched"));
    }

    private void persistent() throws Exception {
        Report.Events events = new Report.Events();
        curator.watchers().add().withMode(AddWatchMode.PERSISTENT).usingWatcher(events).forPath(at("lasting"));
        curator.create().forPath(at("lasting"));
        curator.setData().forPath(at("lasting"), bytes("2"));
        curator.create().forPath(at("lasting/child"));
        events.exactly("NodeCreated " + at("lasting"), "NodeDataChanged " + at("lasting"), "NodeChildrenChanged " + at("lasting"));
        curator.watchers().remove(events).forPath(at("lasting"));
    }

    private void recursive() throws Exception {
        curator.create().forPath(at("away"));
        watcher = new PersistentWatcher(curator, at("away"), true);
        watcher.getListenable().addListener(below);
        CountDownLatch armed = new CountDownLatch(1);
        watcher.getResetListenable().addListener(armed::countDown);
        watcher.start();
        Report.same("armed", armed.await(20, TimeUnit.SECONDS), true);
        curator.create().creatingParentsIfNeeded().forPath(at("away/a/b"));
        curator.delete().forPath(at("away/a/b"));
        below.exactly("NodeCreated " + at("away/a"), "NodeCreated " + at("away/a/b"), "NodeDeleted " + at("away/a/b"));
    }

    private void lock() throws Exception {
        CuratorFramework other = connect();
        InterProcessMutex mine = new InterProcessMutex(curator, at("lock"));
        InterProcessMutex theirs = new InterProcessMutex(other, at("lock"));
        Report.same("held", mine.acquire(20, TimeUnit.SECONDS), true);
        Report.same("held again", mine.acquire(20, TimeUnit.SECONDS), true);
        Report.same("held twice", theirs.acquire(100, TimeUnit.MILLISECONDS), false);
        mine.release();
        mine.release();
        Report.same("handed over", theirs.acquire(20, TimeUnit.SECONDS), true);
        theirs.release();
        other.close();
    }

    private void election() throws Exception {
        CuratorFramework other = connect();
        LeaderLatch first = new LeaderLatch(other, at("election"), "first");
        LeaderLatch second = new LeaderLatch(curator, at("election"), "second");
        first.start();
        Report.same("first leads", first.await(20, TimeUnit.SECONDS), true);
        second.start();
        Report.same("second leads too", second.hasLeadership(), false);
        other.close(); // its session ends, and its candidacy with it
        Report.same("second leads", second.await(20, TimeUnit.SECONDS), true);
        Report.same("leader", second.getLeader().getId(), "second");
        second.close();
    }

    private void cache() throws Exception {
        CountDownLatch primed = new CountDownLatch(1);
        CountDownLatch made = new CountDownLatch(3);
        CountDownLatch gone = new CountDownLatch(1);
        curator.create().creatingParentsIfNeeded().forPath(at("tree/a"), bytes("1"));
        CuratorCache cache = CuratorCache.build(curator, at("tree"));
        cache.listenable().addListener(CuratorCacheListener.builder()
                .forInitialized(primed::countDown).forCreates(node -> made.countDown())
                .forDeletes(node -> gone.countDown()).build());
        cache.start();
        Report.same("primed", primed.await(20, TimeUnit.SECONDS), true);
        curator.create().forPath(at("tree/a/b"), bytes("2"));
        Report.same("made", made.await(20, TimeUnit.SECONDS), true);
        Report.same("cached", new String(cache.get(at("tree/a/b")).get().getData()), "2");
        curator.delete().forPath(at("tree/a/b"));
        Report.same("gone", gone.await(20, TimeUnit.SECONDS), true);
        Report.same("size", cache.size(), 2);
        cache.close();
    }

    private void back() throws Exception {
        CountDownLatch back = new CountDownLatch(1);
        CountDownLatch lost = new CountDownLatch(1);
        curator.getConnectionStateListenable().addListener((c, state) -> {
            if (state == ConnectionState.RECONNECTED) {
                back.countDown();
            } else if (state == ConnectionState.LOST) {
                lost.countDown();
            }
        });
        curator.getData().usingWatcher(once).forPath(at("away"));
        below.clear();
        long id = session();
        Report.restart();
        Report.same("back", back.await(20, TimeUnit.SECONDS), true);
        Report.same("lost", lost.getCount(), 1L);
        Report.same("session", session(), id);
        Report.same("owner", curator.checkExists().forPath(at("mine")).getEphemeralOwner(), id);
    }

    private void missed() throws Exception {
        once.await("NodeDataChanged " + at("away"));
        below.await("NodeDataChanged " + at("away"));
        below.await("NodeCreated " + at("away/born"));
        Report.same("data", new String(curator.getData().forPath(at("away"))), "changed");
        watcher.close();
    }
}
