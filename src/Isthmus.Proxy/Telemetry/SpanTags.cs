using System.Globalization;
using System.Net;
using System.Text;
using Isthmus.Proxy.Messages;

namespace Isthmus.Proxy.Telemetry;

/// <summary>The tags of a span, with the names that Envoy and Istio give them.</summary>
internal static class SpanTags
{
    /// <param name="variable">The value of an environment variable; null if there is none.</param>
    public static IReadOnlyList<KeyValuePair<string, string>> Of(TracingSettings settings, TrafficRecord record, ProxyIdentity identity,
        Func<string, string?> variable)
    {
        var tags = new List<KeyValuePair<string, string>>(32);
        void Add(string name, string? value)
        {
            if (!string.IsNullOrEmpty(value)) tags.Add(new(name, value));
        }
        var request = record.Request!;
        var headers = request.Headers;
        Add("component", "proxy");
        Add("node_id", identity.NodeId);
        Add("guid:x-request-id", headers.GetString("x-request-id"u8));
        Add("http.url", Url(settings, record));
        Add("http.method", request.Method);
        Add("http.protocol", HttpVersions.Text(request.Version));
        Add("http.status_code", Number(record.Status));
        Add("downstream_cluster", headers.GetString("x-envoy-downstream-service-cluster"u8) ?? "-");
        Add("user_agent", headers.GetString("user-agent"u8) ?? "-");
        Add("peer.address", (record.DownstreamRemote as IPEndPoint)?.Address.ToString());
        Add("request_size", Number(record.BytesReceived));
        Add("response_size", Number(record.BytesSent));
        Add("response_flags", record.Flags);
        Add("upstream_cluster", record.ClusterName);
        Add("upstream_cluster.name", record.ClusterName);
        Add("upstream_address", record.Host?.Endpoint.AddressText);
        AddGrpc(Add, record);
        if (record.Status is 0 or >= 500) Add("error", "true");
        foreach (var tag in settings.Tags) Set(tags, tag.Name, tag.Format is { } format ? Formatted(format, record) : Value(tag, headers, variable));
        return tags;
    }

    private static void AddGrpc(Action<string, string?> add, TrafficRecord record)
    {
        var headers = record.Request!.Headers;
        if (!GrpcCalls.Is(headers)) return;
        add("grpc.path", record.Request.TargetText);
        add("grpc.authority", record.Request.Authority);
        add("grpc.content_type", headers.GetString("content-type"u8));
        add("grpc.timeout", headers.GetString("grpc-timeout"u8));
        add("grpc.status_code", record.GrpcStatus is { } status ? Number(status) : null);
        add("grpc.message", record.Trailers.GetString("grpc-message"u8) ?? record.Response?.Headers.GetString("grpc-message"u8));
    }

    private static string Url(TracingSettings settings, TrafficRecord record)
    {
        var request = record.Request!;
        var path = record.OriginalPath.Length > 0 ? record.OriginalPath : request.TargetText;
        if (path.Length > settings.MaxPathLength) path = path[..settings.MaxPathLength];
        return $"{request.Headers.GetString("x-forwarded-proto"u8) ?? "http"}://{request.Authority}{path}";
    }

    /// <summary>Empty where the request has nothing of the kind.</summary>
    private static string Formatted(LogFormat format, TrafficRecord record)
    {
        using var text = new ByteWriter();
        format.Write(record, text);
        return Encoding.UTF8.GetString(text.Written.Span) is var value && value != "-" ? value : "";
    }

    private static string Value(SpanTag tag, HeaderBlock headers, Func<string, string?> variable) => tag.Source switch
    {
        SpanTagSource.Header => headers.GetString(Encoding.ASCII.GetBytes(tag.Text)) ?? tag.Default,
        SpanTagSource.Environment => variable(tag.Text) ?? tag.Default,
        _ => tag.Text,
    };

    /// <summary>What users call a tag wins.</summary>
    private static void Set(List<KeyValuePair<string, string>> tags, string name, string value)
    {
        if (value.Length == 0) return;
        tags.RemoveAll(tag => tag.Key == name);
        tags.Add(new(name, value));
    }

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
}
