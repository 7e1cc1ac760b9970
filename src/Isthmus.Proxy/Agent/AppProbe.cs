using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Json;
using Isthmus.Core.Problems;

namespace Isthmus.Proxy.Agent;

/// <summary>A probe or hook of the application that injection replaced with one of the agent: what the kubelet would have called.</summary>
internal sealed record AppProbe(AppProbeKind Kind, int Port, string Host, string Path, bool Tls, ValueList<(string Name, string Value)> Headers,
    TimeSpan Timeout)
{
    private const string Hooks = "/app-lifecycle/";

    /// <summary>Whether a path is that of a hook. A hook may take as long as the kubelet lets it, and succeeds with any answer.</summary>
    public static bool IsHook(string path) => path.StartsWith(Hooks, StringComparison.Ordinal);

    /// <summary>Reads <c>ISTIO_KUBE_APP_PROBERS</c>: probes keyed by the path that replaces them.</summary>
    /// <exception cref="ProblemException">The text is malformed.</exception>
    public static IReadOnlyDictionary<string, AppProbe> ReadAll(string json)
    {
        const string source = "ISTIO_KUBE_APP_PROBERS";
        var probes = new Dictionary<string, AppProbe>(StringComparer.Ordinal);
        if (json.Length == 0) return probes;
        try
        {
            foreach (var (path, probe) in StrictJson.Parse(json)!.AsObject())
                probes[path] = Read(probe!.AsObject(), IsHook(path))
                    ?? throw new ProblemException(source, $"the probe of {path} is of no known kind", "httpGet, tcpSocket and grpc are known");
            return probes;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException or NullReferenceException)
        {
            throw new ProblemException(source, $"cannot be read: {e.Message}", "it is written by injection", e);
        }
    }

    private static AppProbe? Read(JsonObject probe, bool hook)
    {
        var timeout = hook ? System.Threading.Timeout.InfiniteTimeSpan : TimeSpan.FromSeconds(Math.Max(1, probe["timeoutSeconds"]?.GetValue<int>() ?? 1));
        if (probe["httpGet"] is JsonObject http)
        {
            var path = http["path"]?.GetValue<string>() ?? "/";
            var headers = http["httpHeaders"]?.AsArray().Select(h => (h!["name"]!.GetValue<string>(), h["value"]?.GetValue<string>() ?? "")) ?? [];
            return new(AppProbeKind.Http, PortOf(http), http["host"]?.GetValue<string>() ?? "", path.StartsWith('/') ? path : "/" + path,
                http["scheme"]?.GetValue<string>() == "HTTPS", [.. headers], timeout);
        }
        if (probe["tcpSocket"] is JsonObject tcp) return new(AppProbeKind.Tcp, PortOf(tcp), tcp["host"]?.GetValue<string>() ?? "", "", false, [], timeout);
        if (probe["grpc"] is JsonObject grpc) return new(AppProbeKind.Grpc, PortOf(grpc), "", grpc["service"]?.GetValue<string>() ?? "", false, [], timeout);
        return null;
    }

    private static int PortOf(JsonObject handler) => handler["port"]!.GetValue<int>();
}

internal enum AppProbeKind { Http, Tcp, Grpc }
