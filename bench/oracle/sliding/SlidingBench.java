import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.TestInputTopic;
import org.apache.kafka.streams.TestOutputTopic;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.SlidingWindows;
import org.apache.kafka.streams.kstream.TimeWindowedKStream;
import org.apache.kafka.streams.kstream.WindowedSerdes;
import org.apache.kafka.streams.state.BuiltInDslStoreSuppliers;
import org.apache.kafka.streams.state.WindowStore;
import org.apache.kafka.streams.test.TestRecord;

/**
 * Kafka Streams' sliding windows over the rows of the benchmark: count, sum, min and max per key. Arguments are
 * name=value; the last line of output is a summary in JSON.
 */
public final class SlidingBench {
    private static final AtomicLong READ = new AtomicLong();
    private static final AtomicLong WRITTEN = new AtomicLong();
    private static volatile long firstNanos;
    private static final JsonFactory JSON = new JsonFactory();

    public static void main(String[] args) throws Exception {
        Map<String, String> flags = new HashMap<>();
        for (String a : args) {
            flags.put(a.substring(0, a.indexOf('=')), a.substring(a.indexOf('=') + 1));
        }
        Properties p = new Properties();
        p.put(StreamsConfig.APPLICATION_ID_CONFIG, flags.get("name"));
        p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, flags.getOrDefault("brokers", "nowhere:1"));
        p.put(StreamsConfig.STATE_DIR_CONFIG, flags.get("dir"));
        p.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, flags.get("cache"));
        p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, flags.get("delivery").equals("exactly_once") ? StreamsConfig.EXACTLY_ONCE_V2 : StreamsConfig.AT_LEAST_ONCE);
        p.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        p.put("compression.type", flags.get("compression"));
        if (flags.get("stores").equals("memory")) {
            p.put(StreamsConfig.DSL_STORE_SUPPLIERS_CLASS_CONFIG, BuiltInDslStoreSuppliers.InMemoryDslStoreSuppliers.class);
        }
        Topology topology = topology(flags);
        if (flags.containsKey("brokers")) {
            onBroker(topology, p, flags);
        } else {
            inMemory(topology, p, flags);
        }
    }

    private static Topology topology(Map<String, String> flags) {
        Duration size = Duration.ofMillis(Long.parseLong(flags.get("size")));
        Duration grace = Duration.ofMillis(Long.parseLong(flags.get("grace")));
        StreamsBuilder b = new StreamsBuilder();
        TimeWindowedKStream<String, Long> windows = b.stream(flags.get("topic"), Consumed.with(Serdes.String(), rows()))
                .peek((k, v) -> {
                    if (READ.getAndIncrement() == 0) {
                        firstNanos = System.nanoTime();
                    }
                })
                .groupByKey()
                .windowedBy(SlidingWindows.ofTimeDifferenceAndGrace(size, grace));
        Materialized<String, Acc, WindowStore<Bytes, byte[]>> kept = Materialized.with(Serdes.String(), accumulators());
        if (flags.get("emit").equals("close")) {
            windows = windows.emitStrategy(EmitStrategy.onWindowClose());
            if (flags.get("stores").equals("memory")) {
                kept = kept.withRetention(size.plus(grace).multipliedBy(4)); // in memory a window is gone when time passes it, before it is emitted
            }
        }
        windows.aggregate(Acc::new, (k, x, acc) -> acc.add(x), kept)
                .toStream()
                .peek((k, v) -> WRITTEN.incrementAndGet())
                .mapValues(Acc::json)
                .to(flags.get("out"), Produced.with(WindowedSerdes.timeWindowedSerdeFrom(String.class, size.toMillis()), Serdes.ByteArray()));
        return b.build();
    }

    /** One thread, no broker. Rows are read first; results are taken and thrown away. */
    private static void inMemory(Topology topology, Properties p, Map<String, String> flags) throws IOException {
        p.put(StreamsConfig.InternalConfig.EMIT_INTERVAL_MS_KSTREAMS_WINDOWED_AGGREGATION, 0L);
        List<TestRecord<byte[], byte[]>> rows = new ArrayList<>();
        try (BufferedReader in = Files.newBufferedReader(Path.of(flags.get("rows")))) {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                String[] f = line.split("\t");
                rows.add(new TestRecord<>(f[1].getBytes(StandardCharsets.UTF_8), f[2].getBytes(StandardCharsets.UTF_8), null, Long.parseLong(f[0])));
            }
        }
        List<byte[]> finals = new ArrayList<>(); // looked at when the clock has stopped
        long nanos;
        try (TopologyTestDriver driver = new TopologyTestDriver(topology, p, Instant.EPOCH)) {
            TestInputTopic<byte[], byte[]> in = driver.createInputTopic(flags.get("topic"), new ByteArraySerializer(), new ByteArraySerializer());
            TestOutputTopic<byte[], byte[]> out = driver.createOutputTopic(flags.get("out"), new ByteArrayDeserializer(), new ByteArrayDeserializer());
            boolean check = flags.get("emit").equals("close");
            long began = System.nanoTime();
            for (int i = 0; i < rows.size(); i++) {
                in.pipeInput(rows.get(i));
                if (i % 1000 == 999 || i == rows.size() - 1) {
                    for (TestRecord<byte[], byte[]> r : out.readRecordsToList()) {
                        if (check) {
                            finals.add(r.value());
                        }
                    }
                }
            }
            nanos = System.nanoTime() - began;
        }
        Acc all = new Acc();
        for (byte[] value : finals) {
            all.fold(value);
        }
        summary(rows.size(), nanos, finals.size(), all);
    }

    private static void onBroker(Topology topology, Properties p, Map<String, String> flags) throws InterruptedException {
        p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, flags.get("threads"));
        long n = Long.parseLong(flags.get("n"));
        KafkaStreams streams = new KafkaStreams(topology, p);
        streams.start();
        while (READ.get() < n) {
            Thread.sleep(5);
        }
        streams.close(); // flushes and commits
        summary(n, System.nanoTime() - firstNanos, 0, new Acc());
    }

    private static void summary(long read, long nanos, long windows, Acc all) {
        System.out.printf(Locale.ROOT, "{\"records_in\":%d,\"records_out\":%d,\"seconds\":%.6f,\"windows\":%d,\"n\":%d,\"sum\":%d}%n",
                read, WRITTEN.get(), nanos / 1e9, windows, all.n, all.sum);
    }

    private static Serde<Long> rows() {
        return Serdes.serdeFrom((topic, x) -> Long.toString(x).getBytes(StandardCharsets.UTF_8), (topic, bytes) -> number(bytes, "x"));
    }

    /** A number of a JSON object, read as a stream: nothing is faster in Java without a parser of one's own. */
    private static long number(byte[] json, String name) {
        try (JsonParser in = JSON.createParser(json)) {
            for (JsonToken t = in.nextToken(); t != null; t = in.nextToken()) {
                if (t == JsonToken.FIELD_NAME && in.currentName().equals(name)) {
                    in.nextToken();
                    return in.getLongValue();
                }
            }
            throw new IllegalArgumentException("no " + name);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Serde<Acc> accumulators() {
        return Serdes.serdeFrom(
                (topic, a) -> a == null ? null : ByteBuffer.allocate(32).putLong(a.n).putLong(a.sum).putLong(a.min).putLong(a.max).array(),
                (topic, bytes) -> {
                    if (bytes == null) {
                        return null;
                    }
                    ByteBuffer b = ByteBuffer.wrap(bytes);
                    Acc a = new Acc();
                    a.n = b.getLong();
                    a.sum = b.getLong();
                    a.min = b.getLong();
                    a.max = b.getLong();
                    return a;
                });
    }

    static final class Acc {
        long n;
        long sum;
        long min = Long.MAX_VALUE;
        long max = Long.MIN_VALUE;

        Acc add(long x) {
            // A new one: the store in memory may still hold the old.
            Acc a = new Acc();
            a.n = n + 1;
            a.sum = sum + x;
            a.min = Math.min(min, x);
            a.max = Math.max(max, x);
            return a;
        }

        byte[] json() {
            return ("{\"n\":" + n + ",\"sum\":" + sum + ",\"min\":" + min + ",\"max\":" + max + "}").getBytes(StandardCharsets.UTF_8);
        }

        void fold(byte[] json) {
            n += number(json, "n");
            sum += number(json, "sum");
        }
    }
}
