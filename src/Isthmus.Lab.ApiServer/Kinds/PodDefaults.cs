using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Kinds;

/// <summary>Defaults of Pod specs, as in Pods of their own and in templates.</summary>
internal static class PodDefaults
{
    private const int ReadableMode = 420; // 0644

    private static readonly string[] ContainerLists = ["initContainers", "containers", "ephemeralContainers"];

    /// <summary>What templates and Pods have in common.</summary>
    public static void Spec(JsonObject spec)
    {
        foreach (var volume in Json.Objects(spec["volumes"])) Volume(volume);
        foreach (var list in ContainerLists)
            foreach (var container in Json.Objects(spec[list])) Container(container);
        spec.Default("restartPolicy", "Always");
        spec.Default("terminationGracePeriodSeconds", 30);
        spec.Default("dnsPolicy", "ClusterFirst");
        // Older clients read the old name of the field.
        if (Json.Text(spec["serviceAccountName"]) is { Length: > 0 } account) spec["serviceAccount"] = account;
        else if (Json.Text(spec["serviceAccount"]) is { Length: > 0 } old) spec["serviceAccountName"] = old;
        spec.Default("securityContext", new JsonObject());
        spec.Default("schedulerName", "default-scheduler");
    }

    /// <summary>What only Pods have: requests from limits, service links and, in the network of their Node, its ports.</summary>
    public static void Pod(JsonObject spec)
    {
        Spec(spec);
        spec.Default("enableServiceLinks", true);
        var hostNetwork = Json.Truth(spec["hostNetwork"]) == true;
        foreach (var list in ContainerLists)
        {
            foreach (var container in Json.Objects(spec[list]))
            {
                RequestsFromLimits(container);
                if (hostNetwork) HostPorts(container);
            }
        }
    }

    /// <summary>A template inside a workload; created if it is missing.</summary>
    public static void Template(JsonObject owner)
    {
        var template = owner.Ensure("template");
        var metadata = template.Ensure("metadata");
        if (!metadata.ContainsKey("creationTimestamp")) metadata["creationTimestamp"] = null;
        Spec(template.Ensure("spec"));
    }

    /// <summary>Since Kubernetes 1.28, templates do not get them: they would stay without hostNetwork.</summary>
    private static void HostPorts(JsonObject container)
    {
        foreach (var port in Json.Objects(container["ports"]))
            if (port["containerPort"] is { } number) port.Default("hostPort", number.DeepClone());
    }

    private static void Container(JsonObject container)
    {
        foreach (var port in Json.Objects(container["ports"])) port.Default("protocol", "TCP");
        foreach (var variable in Json.Objects(container["env"])) FieldReference(variable["valueFrom"]);
        container.Default("resources", new JsonObject());
        foreach (var probe in (ReadOnlySpan<string>)["livenessProbe", "readinessProbe", "startupProbe"])
            if (container[probe] is JsonObject o) Probe(o);
        foreach (var hook in (ReadOnlySpan<string>)["postStart", "preStop"])
            if (container.At("lifecycle", hook, "httpGet") is JsonObject get) HttpGet(get);
        container.Default("terminationMessagePath", "/dev/termination-log");
        container.Default("terminationMessagePolicy", "File");
        if (Json.Text(container["image"]) is { Length: > 0 } image) container.Default("imagePullPolicy", PullPolicy(image));
    }

    /// <summary>An image without a tag, or tagged latest, may change any time.</summary>
    private static string PullPolicy(string image)
    {
        if (image.Contains('@', StringComparison.Ordinal)) return "IfNotPresent";
        var tag = image[(image.LastIndexOf('/') + 1)..].Split(':') is [_, var last] ? last : "latest";
        return tag == "latest" ? "Always" : "IfNotPresent";
    }

    private static void Probe(JsonObject probe)
    {
        probe.Default("timeoutSeconds", 1);
        probe.Default("periodSeconds", 10);
        probe.Default("successThreshold", 1);
        probe.Default("failureThreshold", 3);
        if (probe["httpGet"] is JsonObject get) HttpGet(get);
        if (probe["grpc"] is JsonObject grpc) grpc.Default("service", "");
    }

    private static void HttpGet(JsonObject get)
    {
        if (Json.Text(get["path"]).Length == 0) get["path"] = "/";
        if (Json.Text(get["scheme"]).Length == 0) get["scheme"] = "HTTP";
    }

    private static void RequestsFromLimits(JsonObject container)
    {
        if (container.At("resources", "limits") is not JsonObject { Count: > 0 } limits) return;
        var requests = container.Ensure("resources").Ensure("requests");
        foreach (var (resource, amount) in limits) requests.Default(resource, amount!.DeepClone());
    }

    private static void Volume(JsonObject volume)
    {
        if (volume.Count(pair => pair.Key != "name" && pair.Value is not null) == 0) volume["emptyDir"] = new JsonObject();
        foreach (var kind in (ReadOnlySpan<string>)["secret", "configMap", "downwardAPI", "projected"])
            if (volume[kind] is JsonObject source) source.Default("defaultMode", ReadableMode);
        if (volume["hostPath"] is JsonObject path) path.Default("type", "");
        foreach (var item in Json.Objects(volume.At("downwardAPI", "items"))) FieldReference(item);
        foreach (var source in Json.Objects(volume.At("projected", "sources")))
        {
            if (source["serviceAccountToken"] is JsonObject token) token.Default("expirationSeconds", 3600);
            foreach (var item in Json.Objects(source.At("downwardAPI", "items"))) FieldReference(item);
        }
    }

    private static void FieldReference(JsonNode? holder)
    {
        if (holder.At("fieldRef") is JsonObject reference && Json.Text(reference["apiVersion"]).Length == 0) reference["apiVersion"] = "v1";
        if (holder.At("resourceFieldRef") is JsonObject resource) resource.Default("divisor", "0");
    }
}
