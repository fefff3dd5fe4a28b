import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * A consumer of another program. Arguments: bootstrap servers, topic. Reads what is committed in the topic, from the beginning to its end
 * as it stands, and prints a record on each line: partition, key, value and headers (name=value), separated by tabs; a key or value
 * that is null is the word null.
 */
public class Consume {
    public static void main(String[] arguments) {
        Map<String, Object> settings = Map.of("bootstrap.servers", arguments[0], "isolation.level", "read_committed");
        StringDeserializer text = new StringDeserializer();
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings, text, text)) {
            List<TopicPartition> partitions = new ArrayList<>();
            consumer.partitionsFor(arguments[1]).forEach(info -> partitions.add(new TopicPartition(info.topic(), info.partition())));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofSeconds(1))) {
                    print(record);
                }
            }
        }
        System.out.flush();
    }

    private static void print(ConsumerRecord<String, String> record) {
        StringBuilder line = new StringBuilder();
        line.append(record.partition()).append('\t').append(record.key()).append('\t').append(record.value());
        for (Header header : record.headers()) {
            String value = new String(header.value(), StandardCharsets.UTF_8);
            line.append('\t').append(header.key()).append('=').append(value);
        }
        System.out.println(line);
    }
}
