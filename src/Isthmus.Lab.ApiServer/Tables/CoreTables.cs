using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Tables;

/// <summary>Tables of the core group and of events.</summary>
internal static class CoreTables
{
    internal static KindTable Services() => KindTable.Named()
        .Path("Type", "spec.type")
        .Text("Cluster-IP", row => row.Text("spec.clusterIP", "<none>"))
        .Text("External-IP", row => External(row))
        .Text("Port(s)", row => row.Items("spec.ports").Select(Port).Join())
        .Age()
        .Wide("Selector", row => KindTable.Selector(row.At("spec.selector")));

    internal static KindTable Secrets() => KindTable.Named().Path("Type", "type").Text("Data", row => Keys(row, "data")).Age();

    internal static KindTable ConfigMaps() => KindTable.Named().Text("Data", row => Keys(row, "data") + Keys(row, "binaryData")).Age();

    internal static KindTable Endpoints() => KindTable.Named().Text("Endpoints", row => Addresses(row)).Age();

    internal static KindTable Events() => new KindTable()
        .Text("Last Seen", row => LastSeen(row))
        .Path("Type", "type")
        .Path("Reason", "reason")
        .Text("Object", row => $"{Of(row, "involvedObject.kind", "regarding.kind").ToLowerInvariant()}/{Of(row, "involvedObject.name", "regarding.name")}")
        .Wide("Subobject", row => Of(row, "involvedObject.fieldPath", "regarding.fieldPath"))
        .Wide("Source", row => Source(row))
        .Text("Message", row => Of(row, "message", "note").Trim())
        .Wide("First Seen",
            row => row.Since(row.Text("firstTimestamp").Length > 0
                ? "firstTimestamp"
                : row.Text("deprecatedFirstTimestamp").Length > 0
                ? "deprecatedFirstTimestamp"
                : "eventTime"))
        .Wide("Count", row => row.Number("series.count") is var series and > 0 ? series : Math.Max(1, row.Number("count") + row.Number("deprecatedCount")))
        .Add("Name", "string", "name", 1, row => row.Text("metadata.name"));

    internal static KindTable ServiceAccounts() => KindTable.Named().Text("Secrets", row => row.Items("secrets").Count()).Age();

    internal static KindTable Namespaces() => KindTable.Named().Path("Status", "status.phase").Age();

    internal static KindTable Nodes() => KindTable.Named()
        .Text("Status", row => NodeStatus(row))
        .Text("Roles", row => Roles(row))
        .Age()
        .Path("Version", "status.nodeInfo.kubeletVersion")
        .Wide("Internal-IP", row => NodeAddress(row, "InternalIP"))
        .Wide("External-IP", row => NodeAddress(row, "ExternalIP"))
        .Wide("OS-Image", row => row.Text("status.nodeInfo.osImage", "<unknown>"))
        .Wide("Kernel-Version", row => row.Text("status.nodeInfo.kernelVersion", "<unknown>"))
        .Wide("Container-Runtime", row => row.Text("status.nodeInfo.containerRuntimeVersion", "<unknown>"));

    internal static KindTable ReplicationControllers() => KindTable.Named()
        .Count("Desired", "spec.replicas").Count("Current", "status.replicas").Count("Ready", "status.readyReplicas").Age()
        .Workload("spec.template.spec", "spec.selector");

    internal static KindTable ResourceQuotas() => KindTable.Named().Age()
        .Text("Request", row => Quota(row, false)).Text("Limit", row => Quota(row, true));

    internal static KindTable PodTemplates() => KindTable.Named()
        .Text("Containers", row => row.Items("template.spec.containers").Select(c => Tree.Text(c["name"])).Join(""))
        .Text("Images", row => row.Items("template.spec.containers").Select(c => Tree.Text(c["image"])).Join(""))
        .Text("Pod Labels", row => KindTable.Selector(row.At("template.metadata.labels")));

    internal static KindTable Volumes() => KindTable.Named()
        .Path("Capacity", "spec.capacity.storage").Text("Access Modes", row => Modes(row, "spec.accessModes"))
        .Path("Reclaim Policy", "spec.persistentVolumeReclaimPolicy")
        .Text("Status", row => row.Text("metadata.deletionTimestamp").Length > 0 ? "Terminating" : row.Text("status.phase"))
        .Text("Claim", row => row.At("spec.claimRef") is null ? "" : $"{row.Text("spec.claimRef.namespace")}/{row.Text("spec.claimRef.name")}")
        .Path("StorageClass", "spec.storageClassName").Path("VolumeAttributesClass", "spec.volumeAttributesClassName", "<unset>")
        .Path("Reason", "status.reason").Age().Wide("VolumeMode", row => row.Text("spec.volumeMode", "<unset>"));

    internal static KindTable Claims() => KindTable.Named()
        .Text("Status", row => row.Text("metadata.deletionTimestamp").Length > 0 ? "Terminating" : row.Text("status.phase"))
        .Path("Volume", "spec.volumeName").Path("Capacity", "status.capacity.storage").Text("Access Modes", row => Modes(row, "status.accessModes"))
        .Path("StorageClass", "spec.storageClassName").Path("VolumeAttributesClass", "spec.volumeAttributesClassName", "<unset>")
        .Age().Wide("VolumeMode", row => row.Text("spec.volumeMode", "<unset>"));

    private static int Keys(Row row, string path) => (row.At(path) as JsonObject)?.Count ?? 0;

    private static string External(Row row)
    {
        var external = (row.At("spec.externalIPs") as JsonArray)?.Select(Tree.Text).ToList() ?? [];
        switch (row.Text("spec.type"))
        {
            case "LoadBalancer":
                var assigned = row.Items("status.loadBalancer.ingress")
                    .Select(ingress => Tree.Text(ingress["ip"]) is { Length: > 0 } ip ? ip : Tree.Text(ingress["hostname"])).Concat(external).ToList();
                return assigned.Join("<pending>");
            case "ExternalName":
                return row.Text("spec.externalName");
            default:
                return external.Join();
        }
    }

    private static string Port(JsonObject port)
    {
        var protocol = Tree.Text(port["protocol"]);
        var node = Tree.Number(port["nodePort"]) ?? 0;
        return node > 0 ? $"{Tree.Number(port["port"])}:{node}/{protocol}" : $"{Tree.Number(port["port"])}/{protocol}";
    }

    private static string Addresses(Row row)
    {
        const int shown = 3;
        var all = row.Items("subsets").SelectMany(subset =>
        {
            var addresses = (subset["addresses"] as JsonArray)?.OfType<JsonObject>().Select(address => Tree.Text(address["ip"])).ToList() ?? [];
            var ports = (subset["ports"] as JsonArray)?.OfType<JsonObject>().ToList() ?? [];
            return ports.Count == 0 ? addresses : ports.SelectMany(port => addresses.Select(address => $"{address}:{Tree.Number(port["port"])}"));
        }).ToList();
        return all.Count > shown ? $"{string.Join(",", all.Take(shown))} + {all.Count - shown} more..." : all.Join();
    }

    private static string Of(Row row, string core, string events) => row.Text(core, row.Text(events));

    private static string LastSeen(Row row)
    {
        foreach (var path in (string[])["series.lastObservedTime", "lastTimestamp", "deprecatedLastTimestamp", "eventTime"])
            if (row.Text(path).Length > 0) return row.Since(path);
        return "<unknown>";
    }

    private static string Source(Row row)
    {
        var component = Of(row, "source.component", "deprecatedSource.component");
        if (component.Length == 0) component = Of(row, "reportingComponent", "reportingController");
        var host = Of(row, "source.host", "deprecatedSource.host");
        return host.Length > 0 ? $"{component}, {host}" : component;
    }

    private static string NodeStatus(Row row)
    {
        var ready = row.Items("status.conditions").FirstOrDefault(condition => Tree.Text(condition["type"]) == "Ready");
        var status = ready is null ? "Unknown" : Tree.Text(ready["status"]) == "True" ? "Ready" : "NotReady";
        return row.Text("spec.unschedulable") == "true" ? status + ",SchedulingDisabled" : status;
    }

    private static string Roles(Row row)
    {
        const string prefix = "node-role.kubernetes.io/";
        var labels = row.At("metadata.labels") as JsonObject ?? [];
        var roles = labels.Where(label => label.Key.StartsWith(prefix, StringComparison.Ordinal)).Select(label => label.Key[prefix.Length..])
            .Concat(labels.Where(label => label.Key == "kubernetes.io/role").Select(label => Tree.Text(label.Value)))
            .Where(role => role.Length > 0).Order(StringComparer.Ordinal);
        return roles.Join();
    }

    private static string NodeAddress(Row row, string type) =>
        Tree.Text(row.Items("status.addresses").FirstOrDefault(address => Tree.Text(address["type"]) == type)?["address"]) is { Length: > 0 } text
            ? text
            : "<none>";

    private static string Quota(Row row, bool limits)
    {
        var hard = row.At("status.hard") as JsonObject ?? [];
        return string.Join(", ",
            hard.Where(pair => pair.Key.StartsWith("limits.", StringComparison.Ordinal) == limits).OrderBy(pair => pair.Key, StringComparer.Ordinal)
            .Select(pair => $"{pair.Key}: {Tree.Text((row.At("status.used") as JsonObject)?[pair.Key]) switch
            {
                "" => "0",
                var used => used
            }}/{Tree.Text(pair.Value)}"));
    }

    private static string Modes(Row row, string path) =>
        string.Join(",", (row.At(path) as JsonArray)?.Select(mode => Tree.Text(mode) switch
        {
            "ReadWriteOnce" => "RWO",
            "ReadOnlyMany" => "ROX",
            "ReadWriteMany" => "RWX",
            "ReadWriteOncePod" => "RWOP",
            var other => other,
        }) ?? []);
}
