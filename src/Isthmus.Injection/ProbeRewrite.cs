using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;

namespace Isthmus.Injection;

/// <summary>
/// Redirects HTTP, TCP and gRPC probes and hooks of applications to the agent, which runs the originals from inside the Pod. The kubelet has
/// no certificate of the mesh, so a strict proxy would reject it.
/// </summary>
internal static class ProbeRewrite
{
    internal const string Variable = "ISTIO_KUBE_APP_PROBERS";

    private static readonly (string Field, string Path)[] Probes = [("readinessProbe", "readyz"), ("livenessProbe", "livez"), ("startupProbe", "startupz")];

    private static readonly (string Field, string Path)[] Hooks = [("preStop", "prestopz"), ("postStart", "poststartz")];

    /// <summary>Rewrites probes and hooks in place. Returns the originals by agent path, for ISTIO_KUBE_APP_PROBERS: also those of an injection before, which
    /// are taken out of the proxy's container.</summary>
    internal static JsonObject Apply(JsonObject pod, InjectionInputs inputs)
    {
        var originals = new SortedDictionary<string, JsonNode>(StringComparer.Ordinal);
        foreach (var (path, original) in TakeEarlier(pod)) originals[path] = original!.DeepClone();
        foreach (var container in Applications(pod, inputs.IsNative))
        {
            foreach (var (field, path) in Probes) Rewrite(container[field], $"/app-health/{container["name"]}/{path}", container);
            foreach (var (field, path) in Hooks) Rewrite(container["lifecycle"]?[field], $"/app-lifecycle/{container["name"]}/{path}", container);
        }
        return new JsonObject(originals.Select(entry => KeyValuePair.Create(entry.Key, (JsonNode?)entry.Value)));

        void Rewrite(JsonNode? handler, string path, JsonObject container)
        {
            if (handler is not JsonObject replaced || Original(replaced, container, inputs.StatusPort) is not { } original) return;
            originals[path] = original;
            replaced.Remove("tcpSocket");
            replaced.Remove("grpc");
            replaced["httpGet"] = new JsonObject { ["path"] = path, ["port"] = inputs.StatusPort };
        }
    }

    private static JsonObject TakeEarlier(JsonObject pod)
    {
        if (InjectionInputs.Given(pod)?["env"] is not JsonArray variables) return [];
        var kept = variables.FirstOrDefault(variable => variable?["name"]?.ToString() == Variable);
        if (kept is null || Parsed(kept["value"]?.ToString() ?? "") is not { } earlier || earlier.Any(entry => entry.Value is null)) return [];
        variables.Remove(kept);
        return earlier;
    }

    private static JsonObject? Parsed(string text)
    {
        try { return StrictJson.Parse(text) as JsonObject; }
        catch (JsonException) { return null; }
    }

    /// <summary>Sidecars of the application, too, if the agent runs before them. Otherwise, their startup probes would wait for an agent that
    /// waits for them.</summary>
    private static IEnumerable<JsonObject> Applications(JsonObject pod, bool native)
    {
        var containers = (pod["spec"]?["containers"] as JsonArray ?? []).OfType<JsonObject>();
        var sidecars = (pod["spec"]?["initContainers"] as JsonArray ?? []).OfType<JsonObject>()
            .Where(container => native && container["restartPolicy"]?.ToString() == "Always");
        return containers.Concat(sidecars).Where(container => container["name"]?.ToString() != ProxyContainer.Name);
    }

    private static JsonObject? Original(JsonObject handler, JsonObject container, int agent)
    {
        // Exec handlers already run in the container.
        var kind = ((string[])["httpGet", "tcpSocket", "grpc"]).FirstOrDefault(kind => handler[kind] is JsonObject);
        // A port name that the container lacks stays, so that the kubelet reports it. The agent's own port was written by an earlier injection.
        if (kind is null || Number(handler[kind]!["port"], container) is not { } port || port == agent) return null;
        var original = (JsonObject)handler[kind]!.DeepClone();
        original["port"] = port;
        var result = new JsonObject { [kind] = original };
        if ((int?)handler["timeoutSeconds"] is { } timeout and > 0) result["timeoutSeconds"] = timeout;
        return result;
    }

    /// <summary>Replaces port names, because the agent does not know the names of the container's ports.</summary>
    private static int? Number(JsonNode? port, JsonObject container)
    {
        if (port?.GetValueKind() == JsonValueKind.Number) return (int)port;
        var name = port?.ToString() ?? "";
        var named = (container["ports"] as JsonArray ?? []).FirstOrDefault(candidate => candidate?["name"]?.ToString() == name);
        if ((int?)named?["containerPort"] is { } number) return number;
        return int.TryParse(name, out var parsed) ? parsed : null;
    }
}
