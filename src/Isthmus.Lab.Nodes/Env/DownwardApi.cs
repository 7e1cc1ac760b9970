using System.Globalization;
using System.Text;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Nodes.Api;

namespace Isthmus.Lab.Nodes.Env;

/// <summary>Values of <c>fieldRef</c> and <c>resourceFieldRef</c>.</summary>
internal static class DownwardApi
{
    /// <exception cref="ConfigurationException">Kubernetes does not support this path.</exception>
    internal static string Field(PodFacts facts, string path)
    {
        var meta = facts.Pod.Metadata;
        if (Subscript(path, "metadata.labels") is { } label) return meta.Labels.GetValueOrDefault(label, "");
        if (Subscript(path, "metadata.annotations") is { } annotation) return meta.Annotations.GetValueOrDefault(annotation, "");
        return path switch
        {
            "metadata.name" => meta.Name,
            "metadata.namespace" => meta.Namespace,
            "metadata.uid" => meta.Uid,
            "metadata.labels" => Format(meta.Labels),
            "metadata.annotations" => Format(meta.Annotations),
            "spec.nodeName" => facts.Pod.Spec.NodeName,
            "spec.serviceAccountName" => facts.Pod.Spec.ServiceAccountName,
            "status.podIP" or "status.podIPs" => facts.PodIp,
            "status.hostIP" or "status.hostIPs" => facts.HostIp,
            _ => throw new ConfigurationException($"unsupported fieldPath: {path}"),
        };
    }

    /// <param name="own">The container to use when the selector does not name one.</param>
    internal static string Resource(PodFacts facts, ResourceFieldSelector selector, Container? own)
    {
        var container = selector.ContainerName.Length == 0
            ? own
            : facts.Pod.Spec.Containers.Concat(facts.Pod.Spec.InitContainers).FirstOrDefault(one => one.Name == selector.ContainerName);
        if (container is null) throw new ConfigurationException($"resourceFieldRef: container {selector.ContainerName} not found");
        var dot = selector.Resource.IndexOf('.', StringComparison.Ordinal);
        if (dot < 0) throw new ConfigurationException($"unsupported container resource: {selector.Resource}");
        var (list, name) = (selector.Resource[..dot], selector.Resource[(dot + 1)..]);
        var limit = Quantity.Read(container.Resources.Limits.GetValueOrDefault(name));
        var amount = list switch
        {
            "limits" => limit ?? Whole(facts.Capacity, name),
            "requests" => Quantity.Read(container.Resources.Requests.GetValueOrDefault(name)) ?? limit ?? 0m,
            _ => throw new ConfigurationException($"unsupported container resource: {selector.Resource}"),
        };
        var divisor = Quantity.Read(selector.Divisor) is { } given and > 0 ? given : 1m;
        // Kubernetes rounds up: a container of 100m has one whole core.
        return decimal.Ceiling(amount / divisor).ToString("0", CultureInfo.InvariantCulture);
    }

    private static decimal Whole(NodeCapacity capacity, string name) => name switch
    {
        "cpu" => capacity.Cpus,
        "memory" => capacity.MemoryBytes,
        _ => 0m,
    };

    private static string? Subscript(string path, string prefix) =>
        path.StartsWith(prefix + "['", StringComparison.Ordinal) && path.EndsWith("']", StringComparison.Ordinal) ? path[(prefix.Length + 2)..^2] : null;

    /// <summary>One <c>key="value"</c> for each line, in key order; values quoted as Go does.</summary>
    internal static string Format(IReadOnlyDictionary<string, string> map)
    {
        var text = new StringBuilder();
        foreach (var (key, value) in map.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            if (text.Length > 0) text.Append('\n');
            text.Append(key).Append("=\"");
            foreach (var letter in value)
            {
                text.Append(letter switch
                {
                    '"' => "\\\"",
                    '\\' => "\\\\",
                    '\n' => "\\n",
                    '\r' => "\\r",
                    '\t' => "\\t",
                    < ' ' => $"\\x{(int)letter:x2}",
                    _ => letter.ToString(),
                });
            }
            text.Append('"');
        }
        return text.ToString();
    }
}

/// <summary>A container cannot be configured as the Pod specifies. Its reason is CreateContainerConfigError, and it is retried.</summary>
internal sealed class ConfigurationException(string message) : Exception(message);
