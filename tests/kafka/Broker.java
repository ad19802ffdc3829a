import java.io.IOException;

/**
 * One Apache Kafka node in the foreground: formats its storage on first use, then serves until its standard input
 * ends. The process that started it holds that pipe, so the broker never outlives it, however it died.
 *
 * Arguments: server.properties, cluster id.
 */
class Broker {
    public static void main(String[] arguments) throws Exception {
        Thread watchdog = new Thread(Broker::haltAtEndOfInput, "watchdog");
        watchdog.setDaemon(true);
        watchdog.start();
        int formatted = kafka.tools.StorageTool.execute(
            new String[] {"format", "--ignore-formatted", "--cluster-id", arguments[1], "--config", arguments[0]},
            System.out);
        if (formatted != 0) {
            System.exit(formatted);
        }
        kafka.Kafka.main(new String[] {arguments[0]});
    }

    private static void haltAtEndOfInput() {
        try {
            while (System.in.read() >= 0) {
                // Nothing is expected; only the end matters.
            }
        } catch (IOException e) {
            System.err.println("standard input broke: " + e);
        }
        Runtime.getRuntime().halt(1);
    }
}
