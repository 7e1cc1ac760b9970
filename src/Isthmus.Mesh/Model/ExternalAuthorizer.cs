using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>A server that decides about requests, which AuthorizationPolicies with the action CUSTOM name (<c>extensionProviders</c> of
/// MeshConfig).</summary>
/// <param name="Name">The name that policies use.</param>
/// <param name="Service">Its host, as <c>HOST</c> or <c>NAMESPACE/HOST</c>.</param>
/// <param name="IsGrpc">It speaks Envoy's gRPC protocol, otherwise plain HTTP.</param>
public sealed record ExternalAuthorizer(string Name, string Service, int Port, bool IsGrpc)
{
    public static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(600);

    public TimeSpan Timeout { get; init; } = DefaultTimeout;

    /// <summary>Requests continue when it cannot be asked.</summary>
    public bool FailOpen { get; init; }

    /// <summary>The status of requests that do not continue because it cannot be asked; 0: 403.</summary>
    public int StatusOnError { get; init; }

    public bool ClearRouteCache { get; init; }

    public string PathPrefix { get; init; } = "";

    /// <summary>What it gets of the body; null for nothing.</summary>
    public CheckedBody? Body { get; init; }

    /// <summary>Names of header fields may be exact, <c>prefix*</c> or <c>*suffix</c>.</summary>
    public ValueList<string> RequestHeaders { get; init; }

    public ValueMap<string> AdditionalHeaders { get; init; }

    public ValueList<string> UpstreamOnAllow { get; init; }

    /// <summary>Of a positive answer, requests get all fields that belong to neither message nor connection, whatever
    /// <see cref="UpstreamOnAllow"/> says.</summary>
    public bool PassesAll { get; init; }

    public ValueList<string> DownstreamOnDeny { get; init; }

    public ValueList<string> DownstreamOnAllow { get; init; }
}

/// <param name="AllowPartial">A longer body is cut off, otherwise its request is refused.</param>
/// <param name="AsBytes">For gRPC: as bytes instead of text.</param>
public sealed record CheckedBody(uint MaxBytes, bool AllowPartial, bool AsBytes);

/// <summary>An authorizer that a rule of a route asks.</summary>
public sealed record RouteAuthorizer(Destination To, ExternalAuthorizer Settings);

/// <summary>An authorizer as a workload reaches it.</summary>
/// <param name="Host">Its host without a namespace.</param>
/// <param name="Cluster">The cluster that leads to it.</param>
public sealed record ReachedAuthorizer(ExternalAuthorizer Authorizer, string Host, string Cluster);
