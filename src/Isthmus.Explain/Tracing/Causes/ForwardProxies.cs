using System.Net;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Variables of the caller by which its programs send requests to a forward proxy. A trace makes its call without them.</summary>
internal static class ForwardProxies
{
    /// <summary>The hop that tells of them.</summary>
    public const string Hop = "http_proxy";

    /// <summary>Which container of the caller has them; null: none that is known to, or the host is an exception.</summary>
    public static Problem? Of(TracedCall call)
    {
        string[] names = call.Kind switch
        {
            CallKinds.Http => ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"],
            CallKinds.Tls => ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
            CallKinds.Grpc => ["grpc_proxy", "https_proxy", "HTTPS_PROXY", "http_proxy"],
            _ => [],
        };
        var (facts, host) = (call.Facts, call.Facts.Target.Host);
        foreach (var container in facts.ClientPod.Spec.Containers.Where(one => one.Name != "istio-proxy"))
        {
            if (names.Select(name => Find(container, name)).FirstOrDefault(one => one is not null) is not { Value.Length: > 0 } proxy) continue;
            var exceptions = Find(container, "no_proxy") ?? Find(container, "NO_PROXY");
            // What other objects say is not known here.
            if (exceptions is null ? container.EnvFrom.Count > 0 : exceptions.ValueFrom is not null) continue;
            if (IsException(exceptions?.Value ?? "", host, call.Port)) continue;
            return Faults.Of("ISM2169", facts.Client.ToString(), $"spec.containers[{container.Name}].env[{proxy.Name}]",
                $"is {Shown(proxy.Value)}, and "
                    + (exceptions is null ? "there is no no_proxy" : $"{exceptions.Name} ({exceptions.Value}) does not have {host}")
                    + $": programs there that heed it, such as curl, send their requests for {host} to that proxy, which this trace does not do",
                exceptions is null ? $"set no_proxy to {host} in the Pod's template" : $"add {host} to {exceptions.Name} in the Pod's template");
        }
        return null;
    }

    private static EnvVar? Find(Container container, string name) => container.Env.Find(one => one.Name == name);

    /// <summary>Without the password that it may have.</summary>
    private static string Shown(string proxy)
    {
        var (scheme, at) = (proxy.IndexOf("://", StringComparison.Ordinal), proxy.LastIndexOf('@'));
        return at < 0 ? proxy : $"{(scheme < 0 ? "" : proxy[..(scheme + 3)])}…@{proxy[(at + 1)..]}";
    }

    /// <summary>As most programs read it: names stand for those below them, too.</summary>
    private static bool IsException(string list, string host, int port) => list.Split([',', ' '], StringSplitOptions.RemoveEmptyEntries).Any(one =>
    {
        var name = one.EndsWith($":{port}", StringComparison.Ordinal) ? one[..^$":{port}".Length] : one;
        if (name == "*") return true;
        if (IPAddress.TryParse(host, out var address)) return Cidr.TryParse(name, out var range) && range.Contains(address);
        name = name.TrimStart('*').TrimStart('.').ToLowerInvariant();
        return name.Length > 0 && (host == name || host.EndsWith($".{name}", StringComparison.Ordinal));
    });
}
