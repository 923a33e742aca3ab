import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.TestInputTopic;
import org.apache.kafka.streams.TestOutputTopic;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.kstream.Aggregator;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Initializer;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.SessionWindowedKStream;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.SlidingWindows;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.TimeWindowedKStream;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.ValueJoiner;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.state.BuiltInDslStoreSuppliers;
import org.apache.kafka.streams.state.SessionStore;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;
import org.apache.kafka.streams.test.TestRecord;

/**
 * Judges cases: each line of standard input is one, each line of standard
 * output says what Kafka Streams made of it, row by row.
 *
 * <p>A row's value is its number (of tables, "number:other" where other is the
 * foreign key or the group). An aggregate is the list of the numbers of the
 * rows in it, "3,5,9", and a pair of a join "3/5", with "-" for nothing: which
 * rows met is Kafka Streams' to say, sums and averages of them are not.
 */
public final class Oracle {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Serde<String> TEXT = Serdes.String();
    private static final Initializer<String> NOTHING = () -> "";
    private static final Aggregator<String, String, String> ADD = (key, row, rows) -> rows.isEmpty() ? row : rows + "," + row;
    private static final ValueJoiner<String, String, String> PAIR = (left, right) -> number(left) + "/" + number(right);

    public static void main(String[] args) throws Exception {
        Path dir = Files.createTempDirectory("oracle-");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        BufferedWriter out = new BufferedWriter(new OutputStreamWriter(System.out, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonNode c = JSON.readTree(line);
            ObjectNode answer = JSON.createObjectNode();
            answer.put("id", c.get("id").asLong());
            try {
                answer.set("steps", run(c, dir));
            } catch (Exception e) {
                answer.put("error", e + ": " + e.getCause());
            }
            out.write(JSON.writeValueAsString(answer));
            out.newLine();
            if (!in.ready()) {
                out.flush();
            }
        }
        out.flush();
        Files.deleteIfExists(dir);
    }

    private static ArrayNode run(JsonNode c, Path dir) {
        StreamsBuilder builder = new StreamsBuilder();
        topology(builder, c);
        Properties p = new Properties();
        p.put(StreamsConfig.APPLICATION_ID_CONFIG, "oracle");
        p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, "nowhere:1");
        p.put(StreamsConfig.STATE_DIR_CONFIG, dir.toString());
        p.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        p.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        p.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
        p.put(StreamsConfig.DSL_STORE_SUPPLIERS_CLASS_CONFIG, BuiltInDslStoreSuppliers.InMemoryDslStoreSuppliers.class);
        // Results that the clock would hold back for up to a second come at once.
        p.put(StreamsConfig.InternalConfig.EMIT_INTERVAL_MS_KSTREAMS_WINDOWED_AGGREGATION, 0L);
        p.put(StreamsConfig.InternalConfig.EMIT_INTERVAL_MS_KSTREAMS_OUTER_JOIN_SPURIOUS_RESULTS_FIX, 0L);
        ArrayNode steps = JSON.createArrayNode();
        try (TopologyTestDriver driver = new TopologyTestDriver(builder.build(p), p, Instant.EPOCH)) {
            Map<String, TestInputTopic<String, String>> inputs = new HashMap<>();
            TestOutputTopic<String, String> output = driver.createOutputTopic("out", new StringDeserializer(), new StringDeserializer());
            for (JsonNode row : c.get("rows")) {
                String topic = row.get("in").asText();
                inputs.computeIfAbsent(topic, t -> driver.createInputTopic(t, new StringSerializer(), new StringSerializer()))
                        .pipeInput(new TestRecord<>(text(row, "k"), text(row, "v"), null, row.get("t").asLong()));
                ArrayNode step = steps.addArray();
                for (TestRecord<String, String> r : output.readRecordsToList()) {
                    step.addObject().put("k", r.key()).put("v", r.value()).put("t", r.timestamp());
                }
            }
        }
        return steps;
    }

    private static void topology(StreamsBuilder b, JsonNode c) {
        String op = c.get("op").asText();
        switch (op) {
            case "tumbling":
            case "hopping":
            case "sliding":
                TimeWindowedKStream<String, String> windows = op.equals("sliding")
                        ? rows(b).windowedBy(SlidingWindows.ofTimeDifferenceAndGrace(ms(c, "size"), ms(c, "grace")))
                        : rows(b).windowedBy(TimeWindows.ofSizeAndGrace(ms(c, "size"), ms(c, "grace")).advanceBy(ms(c, "advance")));
                if (emit(c, "close")) {
                    windows = windows.emitStrategy(EmitStrategy.onWindowClose());
                }
                windowed(windows.aggregate(NOTHING, ADD, Oracle.<WindowStore<Bytes, byte[]>>kept(c)), c);
                return;
            case "session":
                SessionWindowedKStream<String, String> sessions = rows(b).windowedBy(SessionWindows.ofInactivityGapAndGrace(ms(c, "gap"), ms(c, "grace")));
                if (emit(c, "close")) {
                    sessions = sessions.emitStrategy(EmitStrategy.onWindowClose());
                }
                windowed(sessions.aggregate(NOTHING, ADD, (key, one, two) -> one.isEmpty() || two.isEmpty() ? one + two : one + "," + two,
                        Oracle.<SessionStore<Bytes, byte[]>>kept(c)), c);
                return;
            case "unwindowed":
                rows(b).aggregate(NOTHING, ADD).toStream().to("out");
                return;
            case "table_aggregate":
                b.<String, String>table("left")
                        .groupBy((key, row) -> KeyValue.pair(other(row), row), Grouped.with(TEXT, TEXT))
                        .aggregate(NOTHING, (key, row, rows) -> ADD.apply(key, number(row), rows), (key, row, rows) -> without(rows, number(row)))
                        .toStream().to("out");
                return;
            case "stream_stream":
                JoinWindows within = JoinWindows.ofTimeDifferenceAndGrace(Duration.ZERO, ms(c, "grace")).before(ms(c, "before")).after(ms(c, "after"));
                streamStream(b.stream("left"), b.stream("right"), within, c.get("kind").asText()).to("out");
                return;
            case "stream_table":
                KTable<String, String> table = c.get("history").asLong() == 0 ? b.table("right")
                        : b.table("right", Consumed.with(TEXT, TEXT), Materialized.as(Stores.persistentVersionedKeyValueStore("history", ms(c, "history"))));
                KStream<String, String> stream = b.stream("left");
                Joined<String, String, String> with = Joined.with(TEXT, TEXT, TEXT);
                (c.get("kind").asText().equals("inner") ? stream.join(table, PAIR, with) : stream.leftJoin(table, PAIR, with)).to("out");
                return;
            case "table_table":
                tableTable(b.table("left"), b.table("right"), c.get("kind").asText()).toStream().to("out");
                return;
            case "foreign_key":
                KTable<String, String> left = b.table("left");
                KTable<String, String> right = b.table("right");
                KTable<String, String> joined = c.get("kind").asText().equals("inner")
                        ? left.join(right, Oracle::other, PAIR) : left.leftJoin(right, Oracle::other, PAIR);
                joined.toStream().to("out");
                return;
            default:
                throw new IllegalArgumentException("unknown op " + op);
        }
    }

    private static KStream<String, String> streamStream(KStream<String, String> left, KStream<String, String> right, JoinWindows within, String kind) {
        StreamJoined<String, String, String> with = StreamJoined.with(TEXT, TEXT, TEXT);
        switch (kind) {
            case "inner": return left.join(right, PAIR, within, with);
            case "left": return left.leftJoin(right, PAIR, within, with);
            default: return left.outerJoin(right, PAIR, within, with);
        }
    }

    private static KTable<String, String> tableTable(KTable<String, String> left, KTable<String, String> right, String kind) {
        switch (kind) {
            case "inner": return left.join(right, PAIR);
            case "left": return left.leftJoin(right, PAIR);
            default: return left.outerJoin(right, PAIR);
        }
    }

    private static KGroupedStream<String, String> rows(StreamsBuilder b) {
        return b.<String, String>stream("rows").groupByKey();
    }

    /** Writes windows as "key|start|end". */
    private static void windowed(KTable<Windowed<String>, String> table, JsonNode c) {
        if (emit(c, "suppress")) {
            table = table.suppress(Suppressed.untilWindowCloses(Suppressed.BufferConfig.unbounded()));
        }
        table.toStream((w, v) -> w.key() + "|" + w.window().start() + "|" + w.window().end()).to("out", Produced.with(TEXT, TEXT));
    }

    /**
     * How results are kept: as long as the operator's own rules can need them. The stores' default is shorter by so
     * little that it shows: in memory a session is gone a millisecond before it is closed, a window is gone before it
     * is emitted when time jumps (onWindowClose), and sliding windows count their retention from starts ahead of time.
     */
    private static <S extends StateStore> Materialized<String, String, S> kept(JsonNode c) {
        Materialized<String, String, S> m = Materialized.with(TEXT, TEXT);
        switch (c.get("op").asText()) {
            case "session": return m.withRetention(ms(c, "gap").plus(ms(c, "grace")).plusMillis(1));
            case "sliding": return m.withRetention(Duration.ofDays(7));
            default: return emit(c, "close") ? m.withRetention(Duration.ofDays(7)) : m;
        }
    }

    private static boolean emit(JsonNode c, String how) {
        return how.equals(c.get("emit").asText());
    }

    private static Duration ms(JsonNode c, String name) {
        return Duration.ofMillis(c.get(name).asLong());
    }

    private static String text(JsonNode row, String name) {
        JsonNode n = row.get(name);
        return n == null || n.isNull() ? null : n.asText();
    }

    /** The number of a row, "-" of none. */
    private static String number(String row) {
        if (row == null) {
            return "-";
        }
        int colon = row.indexOf(':');
        return colon < 0 ? row : row.substring(0, colon);
    }

    /** The foreign key or group of a table's row; null if it has none. */
    private static String other(String row) {
        int colon = row.indexOf(':');
        return colon < 0 ? null : row.substring(colon + 1);
    }

    private static String without(String rows, String row) {
        List<String> kept = new ArrayList<>(List.of(rows.split(",")));
        kept.remove(row);
        return String.join(",", kept);
    }
}
