using System.Text.Json.Nodes;

namespace Isthmus.ControlPlane.Injection;

/// <summary>
/// Redirects HTTP, TCP and gRPC probes of applications to the agent, which runs the original probes from inside the Pod.
/// The kubelet has no certificate of the mesh, so a strict proxy would reject it.
/// </summary>
internal static class ProbeRewrite
{
    private static readonly (string Field, string Path)[] Probes = [("readinessProbe", "readyz"), ("livenessProbe", "livez"), ("startupProbe", "startupz")];

    /// <summary>Rewrites probes in place. Returns the originals by agent path, for ISTIO_KUBE_APP_PROBERS.</summary>
    internal static JsonObject Apply(JsonObject pod, int statusPort)
    {
        var originals = new SortedDictionary<string, JsonNode>(StringComparer.Ordinal);
        foreach (var container in (pod["spec"]?["containers"] as JsonArray ?? []).OfType<JsonObject>())
        {
            var name = container["name"]?.ToString() ?? "";
            if (name == ProxyContainer.Name) continue;
            foreach (var (field, path) in Probes)
            {
                if (container[field] is not JsonObject probe) continue;
                var agentPath = $"/app-health/{name}/{path}";
                if (Original(probe, container) is not { } original) continue;
                originals[agentPath] = original;
                probe.Remove("tcpSocket");
                probe.Remove("grpc");
                probe["httpGet"] = new JsonObject { ["path"] = agentPath, ["port"] = statusPort };
            }
        }
        return new JsonObject(originals.Select(entry => KeyValuePair.Create(entry.Key, (JsonNode?)entry.Value)));
    }

    private static JsonObject? Original(JsonObject probe, JsonObject container)
    {
        var original = new JsonObject();
        if (probe["httpGet"] is JsonObject http)
        {
            var copy = (JsonObject)http.DeepClone();
            copy["port"] = Number(http["port"], container);
            original["httpGet"] = copy;
        }
        else if (probe["tcpSocket"] is JsonObject tcp)
        {
            var copy = (JsonObject)tcp.DeepClone();
            copy["port"] = Number(tcp["port"], container);
            original["tcpSocket"] = copy;
        }
        else if (probe["grpc"] is JsonObject grpc)
        {
            original["grpc"] = grpc.DeepClone();
        }
        else
        {
            return null; // Exec probes already run in the container.
        }
        if ((int?)probe["timeoutSeconds"] is { } timeout and > 0) original["timeoutSeconds"] = timeout;
        return original;
    }

    /// <summary>Replaces port names, because the agent does not know the names of the container's ports.</summary>
    private static JsonNode? Number(JsonNode? port, JsonObject container)
    {
        if (port?.GetValueKind() != System.Text.Json.JsonValueKind.String) return port?.DeepClone();
        var name = port.ToString();
        var named = (container["ports"] as JsonArray ?? []).FirstOrDefault(candidate => candidate?["name"]?.ToString() == name);
        if (named?["containerPort"] is { } number) return number.DeepClone();
        return int.TryParse(name, out var parsed) ? JsonValue.Create(parsed) : port.DeepClone();
    }

    internal const string Annotation = "sidecar.istio.io/rewriteAppHTTPProbers";

    internal const string Variable = "ISTIO_KUBE_APP_PROBERS";
}
