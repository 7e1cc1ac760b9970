using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Tables;

/// <summary>Tables of networking, policy, RBAC, admission, storage and the rest.</summary>
internal static class OtherTables
{
    internal static KindTable EndpointSlices() => KindTable.Named()
        .Path("AddressType", "addressType")
        .Text("Ports",
            row => First(row.Items("ports")
                .Select(port => Tree.Number(port["port"]) is { } number ? number.ToString(System.Globalization.CultureInfo.InvariantCulture) : "*")))
        .Text("Endpoints", row => First(row.Items("endpoints").SelectMany(endpoint => (endpoint["addresses"] as JsonArray ?? []).Take(1).Select(Tree.Text))))
        .Age();

    internal static KindTable Ingresses() => KindTable.Named()
        .Path("Class", "spec.ingressClassName", "<none>")
        .Text("Hosts", row => Hosts(row))
        .Text("Address",
            row => row.Items("status.loadBalancer.ingress").Select(i => Tree.Text(i["ip"]) is { Length: > 0 } ip ? ip : Tree.Text(i["hostname"])).Join(""))
        .Text("Ports", row => row.Items("spec.tls").Any() ? "80, 443" : "80")
        .Age();

    internal static KindTable NetworkPolicies() => KindTable.Named().Text("Pod-Selector", row => KindTable.Selector(row.At("spec.podSelector"))).Age();

    internal static KindTable IngressClasses() => KindTable.Named().Path("Controller", "spec.controller")
        .Text("Parameters",
            row => row.At("spec.parameters") is null
                ? "<none>"
                : $"{row.Text("spec.parameters.kind")}{(row.Text("spec.parameters.apiGroup") is { Length: > 0 } group ? "." + group : "")}"
                    + $"/{row.Text("spec.parameters.name")}")
        .Age();

    internal static KindTable Budgets() => KindTable.Named()
        .Path("Min Available", "spec.minAvailable", "N/A").Path("Max Unavailable", "spec.maxUnavailable", "N/A")
        .Count("Allowed Disruptions", "status.disruptionsAllowed").Age();

    internal static KindTable Bindings() => KindTable.Named()
        .Text("Role", row => $"{row.Text("roleRef.kind")}/{row.Text("roleRef.name")}").Age()
        .Wide("Users", row => Subjects(row, "User")).Wide("Groups", row => Subjects(row, "Group"))
        .Wide("ServiceAccounts", row => Subjects(row, "ServiceAccount"));

    internal static KindTable Leases() => KindTable.Named().Path("Holder", "spec.holderIdentity").Age();

    internal static KindTable ApiServices() => KindTable.Named()
        .Text("Service", row => row.At("spec.service") is null ? "Local" : $"{row.Text("spec.service.namespace")}/{row.Text("spec.service.name")}")
        .Text("Available", row => Tree.Text(row.Items("status.conditions").FirstOrDefault(c => Tree.Text(c["type"]) == "Available")?["status"]))
        .Age();

    internal static KindTable Webhooks() => KindTable.Named().Integer("Webhooks", row => row.Items("webhooks").Count()).Age();

    internal static KindTable Policies() => KindTable.Named().Integer("Validations", row => row.Items("spec.validations").Count())
        .Text("ParamKind", row => row.At("spec.paramKind") is null ? "<unset>" : $"{row.Text("spec.paramKind.apiVersion")}/{row.Text("spec.paramKind.kind")}")
        .Age();

    internal static KindTable PolicyBindings() => KindTable.Named().Path("PolicyName", "spec.policyName")
        .Text("ParamRef", row => row.At("spec.paramRef") is null ? "<unset>" : $"{row.Text("spec.paramRef.namespace", "*")}/{row.Text("spec.paramRef.name")}")
        .Age();

    internal static KindTable StorageClasses() => KindTable.Named()
        .Path("Provisioner", "provisioner").Path("ReclaimPolicy", "reclaimPolicy").Path("VolumeBindingMode", "volumeBindingMode")
        .Path("AllowVolumeExpansion", "allowVolumeExpansion", "false").Age();

    internal static KindTable PriorityClasses() => KindTable.Named()
        .Count("Value", "value").Boolean("Global-Default", row => row.Text("globalDefault") == "true").Age().Path("PreemptionPolicy", "preemptionPolicy");

    internal static KindTable RuntimeClasses() => KindTable.Named().Path("Handler", "handler").Age();

    internal static KindTable CsiDrivers() => KindTable.Named()
        .Boolean("AttachRequired", row => row.Text("spec.attachRequired") == "true").Boolean("PodInfoOnMount", row => row.Text("spec.podInfoOnMount") == "true")
        .Boolean("StorageCapacity", row => row.Text("spec.storageCapacity") == "true")
        .Text("TokenRequests", row => row.Items("spec.tokenRequests").Select(request => Tree.Text(request["audience"])).Join("<unset>"))
        .Boolean("RequiresRepublish", row => row.Text("spec.requiresRepublish") == "true")
        .Text("Modes", row => (row.At("spec.volumeLifecycleModes") as JsonArray)?.Select(Tree.Text).Join()).Age();

    internal static KindTable CsiNodes() => KindTable.Named().Integer("Drivers", row => row.Items("spec.drivers").Count()).Age();

    internal static KindTable Attachments() => KindTable.Named()
        .Path("Attacher", "spec.attacher").Path("PV", "spec.source.persistentVolumeName").Path("Node", "spec.nodeName")
        .Boolean("Attached", row => row.Text("status.attached") == "true").Age();

    internal static KindTable SigningRequests() => KindTable.Named().Age()
        .Path("SignerName", "spec.signerName").Path("Requestor", "spec.username")
        .Text("RequestedDuration", row => row.Number("spec.expirationSeconds") is var seconds and > 0 ? ApiTime.Age(TimeSpan.FromSeconds(seconds)) : "<none>")
        .Text("Condition", row => Condition(row));

    internal static KindTable FlowSchemas() => KindTable.Named()
        .Path("PriorityLevel", "spec.priorityLevelConfiguration.name").Text("MatchingPrecedence", row => row.Number("spec.matchingPrecedence"))
        .Path("DistinguisherMethod", "spec.distinguisherMethod.type", "<none>").Age()
        .Text("MissingPL",
            row => Tree.Text(row.Items("status.conditions").FirstOrDefault(c => Tree.Text(c["type"]) == "Dangling")?["status"]) is { Length: > 0 } text
                ? text
                : "?");

    internal static KindTable PriorityLevels() => KindTable.Named().Path("Type", "spec.type")
        .Path("NominalConcurrencyShares", "spec.limited.nominalConcurrencyShares", "<none>")
        .Path("Queues", "spec.limited.limitResponse.queuing.queues", "<none>").Path("HandSize", "spec.limited.limitResponse.queuing.handSize", "<none>")
        .Path("QueueLengthLimit", "spec.limited.limitResponse.queuing.queueLengthLimit", "<none>").Age();

    private static string First(IEnumerable<string> texts)
    {
        const int shown = 3;
        var all = texts.ToList();
        return all.Count == 0 ? "<unset>" : all.Count > shown ? $"{string.Join(",", all.Take(shown))} + {all.Count - shown} more..." : string.Join(",", all);
    }

    private static string Hosts(Row row)
    {
        const int shown = 3;
        var hosts = row.Items("spec.rules").Select(rule => Tree.Text(rule["host"])).Where(host => host.Length > 0).ToList();
        return hosts.Count == 0
            ? "*"
            : hosts.Count > shown
            ? $"{string.Join(",", hosts.Take(shown))} + {hosts.Count - shown} more..."
            : string.Join(",", hosts);
    }

    private static string Subjects(Row row, string kind) =>
        string.Join(", ", row.Items("subjects").Where(subject => Tree.Text(subject["kind"]) == kind)
            .Select(subject => kind == "ServiceAccount" ? $"{Tree.Text(subject["namespace"])}/{Tree.Text(subject["name"])}" : Tree.Text(subject["name"])));

    private static string Condition(Row row)
    {
        var types = row.Items("status.conditions").Select(condition => Tree.Text(condition["type"])).ToHashSet(StringComparer.Ordinal);
        var text = types.Contains("Denied") ? "Denied" : types.Contains("Approved") ? "Approved" : "Pending";
        if (types.Contains("Failed")) text += ",Failed";
        return row.Text("status.certificate").Length > 0 ? text + ",Issued" : text;
    }
}
