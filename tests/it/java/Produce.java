import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * A producer of another program, with the client's own partitioner. Arguments: bootstrap servers, topic. Each line of standard input is
 * a record: partition, key and value, separated by tabs. An empty partition leaves the choice to the partitioner; an empty key is
 * none. Prints the partition of each record, in their order, when all of them are written.
 */
public class Produce {
    public static void main(String[] arguments) throws Exception {
        Map<String, Object> settings = Map.of("bootstrap.servers", arguments[0], "acks", "all");
        StringSerializer text = new StringSerializer();
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings, text, text)) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                String[] parts = line.split("\t", 3);
                Integer partition = parts[0].isEmpty() ? null : Integer.valueOf(parts[0]);
                String key = parts[1].isEmpty() ? null : parts[1];
                sent.add(producer.send(new ProducerRecord<>(arguments[1], partition, key, parts[2])));
            }
            producer.flush();
            for (Future<RecordMetadata> record : sent) {
                System.out.println(record.get().partition());
            }
        }
    }
}
