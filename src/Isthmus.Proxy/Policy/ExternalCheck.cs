using System.Collections.Frozen;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Tokens;

namespace Isthmus.Proxy.Policy;

/// <summary>An ext_authz filter: which requests and connections an external authorizer decides about, what it is told, and what its answer
/// may change.</summary>
/// <param name="authorizer">Who is asked where the route does not say.</param>
/// <param name="applies">Whether it is asked, by what earlier filters found out; null: always.</param>
internal sealed class ExternalCheck(ExternalAuthorizer authorizer, Func<RequestMetadata?, bool>? applies) : AccessFilter
{
    public ExternalAuthorizer Authorizer => authorizer;

    /// <summary>By which routes configure the filter; empty for connections.</summary>
    public string Name { get; init; } = "";

    /// <summary>Requests continue when the authorizer cannot be asked.</summary>
    public bool FailsOpen { get; init; }

    /// <summary>Requests that continue without an answer say so to the server.</summary>
    public bool MarksFailure { get; init; }

    /// <summary>The status of requests that do not continue because the authorizer cannot be asked.</summary>
    public int StatusOnError { get; init; } = 403;

    /// <summary>The authorizer gets the body; null if it does not.</summary>
    public CheckedBody? Body { get; init; }

    /// <summary>The fields of the request that the authorizer gets; null: all for gRPC, only <c>authorization</c> for plain HTTP.</summary>
    public FieldNames? Sent { get; init; }

    /// <summary>Fields that the authorizer does not get.</summary>
    public FieldNames Withheld { get; init; } = FieldNames.None;

    /// <summary>The route is chosen after the answer has changed the request.</summary>
    public bool ClearsRoute { get; init; }

    public bool TellsCertificate { get; init; }

    public bool TellsServerName { get; init; }

    /// <summary>Filters whose results the authorizer gets.</summary>
    public ValueList<string> MetadataSpaces { get; init; }

    /// <summary>What the names of the counters begin with.</summary>
    public string Stats { get; init; } = "";

    /// <summary>Whether the authorizer has to be asked.</summary>
    public bool IsFor(RequestMetadata? metadata) => applies?.Invoke(metadata) ?? true;
}

/// <summary>Who decides, and what its answer may change.</summary>
/// <param name="Cluster">Where it is.</param>
/// <param name="Patience">How long it may take.</param>
internal sealed record ExternalAuthorizer(string Cluster, TimeSpan Patience)
{
    /// <summary>It speaks gRPC (<c>envoy.service.auth.v3.Authorization</c>), with that authority; null: plain HTTP.</summary>
    public string? GrpcAuthority { get; init; }

    public bool IsGrpc => GrpcAuthority is not null;

    /// <summary>What the paths of plain HTTP requests begin with.</summary>
    public string PathPrefix { get; init; } = "";

    /// <summary>The path of all of them, with its query; empty: that of the request.</summary>
    public string Path { get; init; } = "";

    /// <summary>More fields for it.</summary>
    public IReadOnlyList<HeaderEdit> Added { get; init; } = [];

    /// <summary>Fields of a positive answer that replace those of the request.</summary>
    public FieldNames ToUpstream { get; init; } = FieldNames.None;

    /// <summary>Fields of a positive answer that are added to the request.</summary>
    public FieldNames AppendedUpstream { get; init; } = FieldNames.None;

    /// <summary>Fields of a positive answer that the client gets with the response.</summary>
    public FieldNames ToClientOnAllow { get; init; } = FieldNames.None;

    /// <summary>Fields of a negative answer that the client gets; null for all.</summary>
    public FieldNames? ToClientOnDeny { get; init; }
}

/// <summary>What a route says to an ext_authz filter.</summary>
/// <param name="IsOff">Nobody is asked.</param>
internal sealed record RouteCheck(bool IsOff) : IRouteOverride
{
    /// <summary>Null: the one of the filter.</summary>
    public ExternalAuthorizer? Authorizer { get; init; }

    /// <summary>The authorizer gets no body, whatever the filter says.</summary>
    public bool WithholdsBody { get; init; }

    /// <summary>How much of the body the authorizer gets. Whether as bytes, the filter says. Null: as the filter says.</summary>
    public CheckedBody? Body { get; init; }

    /// <summary>What an authorizer that speaks gRPC is told about the route: the values of all levels, where the most specific one wins.</summary>
    public IReadOnlyDictionary<string, string> Context { get; init; } = FrozenDictionary<string, string>.Empty;

    public IRouteOverride After(IRouteOverride before)
    {
        if (before is not RouteCheck { Context.Count: > 0 } check) return this;
        var context = new Dictionary<string, string>(check.Context, StringComparer.Ordinal);
        foreach (var (key, value) in Context) context[key] = value;
        return this with { Context = context };
    }

    /// <summary>What the authorizer gets of the body.</summary>
    public CheckedBody? BodyFor(ExternalCheck check) =>
        WithholdsBody ? null : Body is null ? check.Body : Body with { AsBytes = check.Body?.AsBytes ?? false };
}

/// <param name="Most">Bytes; longer bodies are refused unless <paramref name="MayBePart"/>.</param>
/// <param name="AsBytes">In a gRPC request, the body is bytes instead of text.</param>
internal sealed record CheckedBody(int Most, bool MayBePart, bool AsBytes);

/// <summary>A set of field names, by rules.</summary>
internal sealed record FieldNames(IReadOnlyList<TextMatch> Rules)
{
    public static readonly FieldNames None = new([]);

    public bool IsEmpty => Rules.Count == 0;

    public bool Contains(string name)
    {
        foreach (var rule in Rules)
            if (rule.IsMatch(name)) return true;
        return false;
    }
}
