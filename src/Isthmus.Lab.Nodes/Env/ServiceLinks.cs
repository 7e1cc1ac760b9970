using System.Globalization;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.Nodes.Env;

/// <summary>The environment variables with the addresses of Services, in the format of Docker links.</summary>
internal static class ServiceLinks
{
    /// <param name="all">False: only the API server's, which every container gets.</param>
    internal static IEnumerable<KeyValuePair<string, string>> For(IEnumerable<Service> services, string ns, bool all)
    {
        var chosen = new SortedDictionary<string, Service>(StringComparer.Ordinal);
        foreach (var service in services)
        {
            if (service.Spec.ClusterIP is "" or "None") continue;
            var meta = service.Metadata;
            if (meta is { Namespace: "default", Name: "kubernetes" }) chosen.TryAdd(meta.Name, service);
            else if (all && meta.Namespace == ns) chosen[meta.Name] = service;
        }
        return chosen.SelectMany(pair => Of(pair.Key, pair.Value));
    }

    private static IEnumerable<KeyValuePair<string, string>> Of(string name, Service service)
    {
        var prefix = name.ToUpperInvariant().Replace('-', '_');
        var address = service.Spec.ClusterIP;
        var ports = service.Spec.Ports;
        if (ports.Count == 0) yield break;
        yield return new($"{prefix}_SERVICE_HOST", address);
        yield return new($"{prefix}_SERVICE_PORT", Number(ports[0].Port));
        foreach (var port in ports.Where(port => port.Name.Length > 0))
            yield return new($"{prefix}_SERVICE_PORT_{port.Name.ToUpperInvariant().Replace('-', '_')}", Number(port.Port));
        for (var i = 0; i < ports.Count; i++)
        {
            var protocol = ports[i].Protocol.Length == 0 ? "tcp" : ports[i].Protocol.ToLowerInvariant();
            var url = $"{protocol}://{address}:{Number(ports[i].Port)}";
            if (i == 0) yield return new($"{prefix}_PORT", url);
            var one = $"{prefix}_PORT_{Number(ports[i].Port)}_{protocol.ToUpperInvariant()}";
            yield return new(one, url);
            yield return new($"{one}_PROTO", protocol);
            yield return new($"{one}_PORT", Number(ports[i].Port));
            yield return new($"{one}_ADDR", address);
        }
    }

    private static string Number(int port) => port.ToString(CultureInfo.InvariantCulture);
}
