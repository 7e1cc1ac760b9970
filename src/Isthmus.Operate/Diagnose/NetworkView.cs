using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Json;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Diagnose;

/// <summary>The networks whose endpoints a proxy asks for, as its Pod says.</summary>
/// <param name="Networks">Empty: all.</param>
/// <param name="Path">The field that says it.</param>
public sealed record NetworkView(ValueList<string> Networks, string Path)
{
    /// <summary>Null: the Pod says nothing, so that its proxy gets the endpoints of all networks.</summary>
    /// <param name="spec">Of the Pod, or of the template that makes it.</param>
    /// <param name="annotations">Of the same.</param>
    public static NetworkView? Of(PodSpec spec, IReadOnlyDictionary<string, string> annotations)
    {
        var isAnnotated = annotations.GetValueOrDefault(Annotations.ProxyConfig, "") is { Length: > 0 } config
            && config.Contains(NetworkGatewayReader.NetworkView, StringComparison.Ordinal);
        foreach (var proxy in spec.Containers.Concat(spec.InitContainers).Where(container => container.Name == "istio-proxy"))
        {
            if (proxy.Env.Find(one => one.Name == NetworkGatewayReader.NetworkView)?.Value is not { } told
                && (told = OfConfig(proxy.Env.Find(one => one.Name == "PROXY_CONFIG")?.Value ?? "")) is null) continue;
            var networks = told.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).ToValueList();
            if (networks.IsEmpty) continue;
            return new(networks, isAnnotated ? $"metadata.annotations[{Annotations.ProxyConfig}]"
                : $"spec.containers[{proxy.Name}].env[{NetworkGatewayReader.NetworkView}]");
        }
        return null;
    }

    private static string? OfConfig(string config)
    {
        try
        {
            return config.Length == 0 ? null
                : ((StrictJson.Parse(config) as JsonObject)?["proxyMetadata"] as JsonObject)?[NetworkGatewayReader.NetworkView]?.ToString();
        }
        catch (System.Text.Json.JsonException)
        {
            return null;
        }
    }
}
