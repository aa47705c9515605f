import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;

/** What the Java clients share: reporting in lines (see program_test.go), and waiting for events. */
final class Report {
    static final long WAIT = TimeUnit.SECONDS.toMillis(20);

    interface Step {
        void run() throws Exception;
    }

    /** Tries one row of the table, and tells how it went. */
    static void row(String row, Step step) {
        try {
            step.run();
            System.out.println("did " + row);
        } catch (Throwable problem) {
            System.out.println("failed " + row + ": " + problem);
            problem.printStackTrace(System.out);
        }
    }

    /** Asks for a restart of the server, and returns when it is there again. */
    static void restart() throws Exception {
        System.out.println("restart");
        new BufferedReader(new InputStreamReader(System.in)).readLine();
    }

    static void same(String what, Object got, Object want) {
        if (!Objects.equals(got, want)) {
            throw new AssertionError(what + " is " + got + ", want " + want);
        }
    }

    static void fails(KeeperException.Code want, Step step) throws Exception {
        try {
            step.run();
        } catch (KeeperException e) {
            same("error", e.code(), want);
            return;
        }
        throw new AssertionError("no error, want " + want);
    }

    /** A watcher that keeps what it is told. */
    static final class Events implements Watcher {
        private final List<String> told = new ArrayList<>();

        @Override
        public synchronized void process(WatchedEvent event) {
            told.add(event.getPath() == null ? event.getState().toString() : event.getType() + " " + event.getPath());
            notifyAll();
        }

        synchronized void clear() {
            told.clear();
        }

        /** Waits for one event, wherever it is among those that came. */
        synchronized void await(String want) throws InterruptedException {
            for (long end = System.currentTimeMillis() + WAIT; !told.contains(want); ) {
                long left = end - System.currentTimeMillis();
                if (left <= 0) {
                    throw new AssertionError("events are " + told + ", want " + want);
                }
                wait(left);
            }
        }

        /** Waits for so many events, and wants them to be these, in this order. */
        synchronized void exactly(String... want) throws InterruptedException {
            for (long end = System.currentTimeMillis() + WAIT; told.size() < want.length; ) {
                long left = end - System.currentTimeMillis();
                if (left <= 0) {
                    break;
                }
                wait(left);
            }
            same("events", told, List.of(want));
        }
    }

    private Report() {}
}
