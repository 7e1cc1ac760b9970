using System.Net;
using System.Text;
using Isthmus.Kubernetes.Objects;
using Isthmus.Proxy.Http;

namespace Isthmus.Operate.Diagnose.Tracing;

/// <summary>The call under trace, as the caller's Pod makes it.</summary>
/// <param name="Sidecar">The caller's proxy; null when the Pod has none.</param>
/// <param name="Host">The mesh host that the name denotes; null when there is none.</param>
/// <param name="Kind"><c>http</c>, <c>tls</c> or <c>tcp</c>.</param>
/// <param name="Destination">The address and port that the application connects to.</param>
internal sealed record TracedCall(TraceFacts Facts, ProxyView? Sidecar, MeshHost? Host, int Port, string Kind, IPEndPoint Destination)
{
    /// <summary>The ALPN protocol that the callee's proxy detects in the first bytes of plain HTTP.</summary>
    public static readonly string[] PlainHttp = ["http/1.1"];

    /// <summary>A call of which only the request is known.</summary>
    public TracedCall(TraceFacts facts, ProxyView? sidecar) : this(facts, sidecar, null, 0, "http", new(IPAddress.None, 0))
    {
    }

    public string Authority => Port == (Kind == "tls" ? 443 : 80) ? Facts.Target.Host : $"{Facts.Target.Host}:{Port}";

    public string Path => Facts.Target.Path.Length > 0 ? Facts.Target.Path : "/";

    public IPEndPoint ClientEnd => new(IPAddress.TryParse(Facts.ClientPod.Status.PodIP, out var own) ? own : IPAddress.Loopback, 40000);

    public RequestHead Request()
    {
        var head = new RequestHead { Method = "GET", Version = HttpVersions.Http11, Authority = Authority };
        head.SetTarget(Encoding.UTF8.GetBytes(Path));
        head.Headers.Add("user-agent"u8, "isthmus-trace");
        head.Headers.Add("accept"u8, "*/*");
        return head;
    }

    public override string ToString() => $"{(Kind == "tcp" ? "tcp" : Kind == "tls" ? "https" : "http")}://{Facts.Target.Host}{(Port > 0 ? $":{Port}" : "")}{(Kind == "tcp" ? "" : Path)}";
}
