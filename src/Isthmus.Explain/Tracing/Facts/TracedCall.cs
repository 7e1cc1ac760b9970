using System.Net;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>The call under trace, as the caller's Pod makes it.</summary>
/// <param name="Sidecar">The caller's proxy; null when the Pod has none.</param>
/// <param name="Host">The mesh host that the name denotes; null when there is none.</param>
/// <param name="Kind">One of <see cref="CallKinds"/>.</param>
/// <param name="Destination">The address and port that the application connects to.</param>
internal sealed record TracedCall(TraceFacts Facts, ProxyView? Sidecar, MeshHost? Host, int Port, string Kind, IPEndPoint Destination)
{
    /// <summary>What a gateway at which the call enters made of it; null without one.</summary>
    public Admission? Admitted { get; init; }

    /// <summary>The gateway at which the call enters ends its TLS.</summary>
    public bool IsDecrypted { get; init; }

    /// <summary>What keeps the check from an external authorizer that a proxy on the way asked in vain; null: nothing that is known.</summary>
    public Problem? Check { get; init; }

    /// <summary>A call of which only the request is known.</summary>
    public TracedCall(TraceFacts facts, ProxyView? sidecar) : this(facts, sidecar, null, 0, CallKinds.Http, new(IPAddress.None, 0))
    {
    }

    /// <summary>The host that the request names: what it connects to, unless it sends another.</summary>
    public string Authority => Facts.Sent.Headers.LastOrDefault(header => header.Name == "host")?.Value is { Length: > 0 } named ? named
        : Port == (Kind == CallKinds.Tls ? 443 : 80) ? Facts.Target.Written : $"{Facts.Target.Written}:{Port}";

    public string Method => Facts.Sent.Method.Length > 0 ? Facts.Sent.Method : Kind == CallKinds.Grpc || Facts.Sent.Body.Length > 0 ? "POST" : "GET";

    /// <summary>Whether it is HTTP without TLS of the application's own.</summary>
    public bool IsPlainHttp => Kind is CallKinds.Http or CallKinds.Grpc;

    /// <summary>The request asks to go on as a WebSocket.</summary>
    public bool IsWebSocket => Facts.Target.IsWebSocket || Facts.Sent.IsWebSocket;

    /// <summary>The ALPN protocols that a proxy detects in the first bytes of plain HTTP.</summary>
    public IReadOnlyList<string> Detected => Kind == CallKinds.Grpc ? ["h2c"] : ["http/1.1"];

    public string Path => Facts.Target.Path.Length > 0 ? Facts.Target.Path : "/";

    public IPEndPoint ClientEnd => new(IPAddress.TryParse(Facts.ClientPod.Status.PodIP, out var own) ? own : IPAddress.Loopback, 40000);

    public AskedRequest Request()
    {
        if (Admitted is { } admitted) return admitted.Request.Copy();
        List<(string, string)> headers = [("user-agent", "isthmus-trace"), ("accept", "*/*")];
        if (Kind == CallKinds.Grpc) headers.Add(("content-type", "application/grpc"));
        if (IsWebSocket) headers.AddRange([("upgrade", "websocket"), ("sec-websocket-version", "13")]);
        headers.AddRange(Facts.Sent.Headers.Where(header => header.Name != "host").Select(header => (header.Name, header.Value)));
        return new(Method, Kind == CallKinds.Grpc, Authority, Path, headers);
    }

    /// <summary>Before its name is resolved, the port is that which was given.</summary>
    private int Asked => Port > 0 ? Port : Facts.Target.Port;

    public override string ToString() =>
        $"{(IsDecrypted || Kind == CallKinds.Tls ? "https" : Kind)}://{Facts.Target.Host}{(Asked > 0 ? $":{Asked}" : "")}{(Kind == CallKinds.Tcp ? "" : Path)}";
}

/// <summary>What the filters of a gateway made of a call from outside.</summary>
/// <param name="Asked">The request of the client.</param>
/// <param name="Request">The request that it passes on: it may have removed the token.</param>
/// <param name="Learned">What they learned of the request.</param>
/// <param name="IsUnsure">Only the gateway itself can check the token.</param>
internal sealed record Admission(AskedRequest Asked, AskedRequest Request, LearnedFacts? Learned, bool IsUnsure)
{
    /// <summary>The Gateways with a server that may have taken the call, each with the port of that server.</summary>
    public IReadOnlyList<(string Gateway, int Port)> Doors { get; init; } = [];

    /// <summary>The issuers of which the gateway's proxy has no keys, so that it refuses all their tokens.</summary>
    public IReadOnlyList<string> Unkeyed { get; init; } = [];

    public bool HasToken => Learned?.Find("istio_authn", []) is not null;
}
