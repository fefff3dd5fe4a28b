import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;

/**
 * An administrator of permissions. Arguments: bootstrap servers, principal. Each line of standard input is one change, its parts separated
 * by tabs: grant or revoke, the type of the resource, what its name begins with, the operations with commas. Prints a line for each
 * when the broker enforces it.
 */
public class Acls {
    public static void main(String[] arguments) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", arguments[0]))) {
            BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                String[] parts = line.split("\t");
                ResourcePattern resource = new ResourcePattern(ResourceType.valueOf(parts[1]), parts[2], PatternType.PREFIXED);
                List<AclBinding> permissions = new ArrayList<>();
                for (String operation : parts[3].split(",")) {
                    permissions.add(new AclBinding(resource, new AccessControlEntry(
                        arguments[1], "*", AclOperation.valueOf(operation), AclPermissionType.ALLOW)));
                }
                boolean granted = parts[0].equals("grant");
                if (granted) {
                    admin.createAcls(permissions).all().get();
                } else {
                    admin.deleteAcls(permissions.stream().map(AclBinding::toFilter).toList()).all().get();
                }
                // The controller answers before the broker applies the change; the broker describes what it enforces.
                for (AclBinding permission : permissions) {
                    while (admin.describeAcls(permission.toFilter()).values().get().isEmpty() == granted) {
                        Thread.sleep(5);
                    }
                }
                System.out.println(line);
            }
        }
    }
}
