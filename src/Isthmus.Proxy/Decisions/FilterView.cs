using System.Net;
using System.Text;
using Isthmus.Proxy.Filters;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Tokens;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Decisions;

/// <summary>A filter that may refuse a call by what its configuration says.</summary>
public abstract class FilterView
{
    /// <summary>Null: what it decides is not in its configuration alone.</summary>
    internal static FilterView? Of(AccessFilter filter) => filter switch
    {
        UnsupportedFilter lacked => new LackedFilterView(lacked.Name),
        RbacFilter policy => new PolicyFilterView(policy),
        _ => null,
    };

    /// <inheritdoc cref="Of(AccessFilter)"/>
    internal static FilterView? Of(RequestFilter filter) => filter switch
    {
        TokenFilter tokens => new TokenFilterView(tokens.Check),
        LackedFilter lacked => new LackedFilterView(lacked.Name),
        PolicyFilter policy => new PolicyFilterView(policy.Rules),
        _ => null,
    };
}

/// <summary>A filter that the proxy does not have.</summary>
public sealed class LackedFilterView : FilterView
{
    internal LackedFilterView(string name) => Name = name;

    /// <summary>The name of the filter.</summary>
    public string Name { get; }

    /// <summary>The name of the filter that a proxy refused a call for; null if its details are not those of such a filter.</summary>
    public static string? NameIn(string details) => UnsupportedFilter.NameIn(details);
}

/// <summary>What a check of tokens says.</summary>
/// <param name="Status">0: the request goes on; else the status that it is refused with.</param>
/// <param name="Failure">Why, in Envoy's words.</param>
/// <param name="Learned">What the tokens say; null: nothing.</param>
public sealed record TokenAnswer(int Status, string Failure, LearnedFacts? Learned);

/// <summary>A filter that checks tokens.</summary>
public sealed class TokenFilterView : FilterView
{
    private readonly TokenCheck _check;

    internal TokenFilterView(TokenCheck check) => _check = check;

    /// <summary>Issuers, and the text of their keys where the configuration has it.</summary>
    public IEnumerable<(string Issuer, string Keys)> LocalKeys => _check.LocalKeys;

    /// <summary>The algorithms of the keys of an issuer in the configuration, where none of them is of the kind that an algorithm needs; null where one is,
    /// or where there are no keys.</summary>
    public IReadOnlyList<string>? OtherAlgorithms(string issuer, string algorithm)
    {
        var known = _check.LocalKeys.Where(keys => keys.Issuer == issuer)
            .Select(keys => JsonWebKeys.Parse(Encoding.UTF8.GetBytes(keys.Keys))?.Others(algorithm)).ToList();
        return known.Count == 0 || known.Contains(null) ? null : [.. known.SelectMany(names => names!).Distinct()];
    }

    /// <summary>Checks the token of a request with the keys that are in the configuration, and removes or adds the fields that the filter specifies; null:
    /// only the proxy itself can fetch the keys.</summary>
    public TokenAnswer? Check(AskedRequest request, DateTimeOffset now)
    {
        var lacksKeys = false;
        var deciding = _check.DecideAsync(request.Head, "http", (_, _) =>
        {
            lacksKeys = true;
            return ValueTask.FromResult<JsonWebKeys?>(null);
        }, now).AsTask();
        if (!deciding.IsCompletedSuccessfully || lacksKeys) return null;
        var (status, failure, metadata) = deciding.Result;
        return new(status, failure, metadata is null ? null : new(metadata));
    }
}

/// <summary>What policies may ask of a call.</summary>
/// <param name="Request">Null for a TCP connection: rules about requests then do not match.</param>
/// <param name="Identity">The caller's SPIFFE ID; empty when it shows no certificate.</param>
/// <param name="Source">The caller.</param>
/// <param name="ServerName">What the caller asks for in TLS; empty: nothing.</param>
public sealed record PolicyQuestion(AskedRequest? Request, string Scheme, string Identity, IPEndPoint Source, IPEndPoint Destination, string ServerName)
{
    /// <summary>The caller has shown its certificate at the beginning of a tunnel, and not to the chain whose filters are asked.</summary>
    public bool IsTunnelled { get; init; }
}

/// <summary>What a policy decides.</summary>
/// <param name="Rule">The rule that decided; empty when none matched.</param>
public readonly record struct PolicyAnswer(bool IsAllowed, string Rule);

/// <summary>A filter with the rules of policies.</summary>
public sealed class PolicyFilterView : FilterView
{
    private readonly RbacFilter _filter;

    internal PolicyFilterView(RbacFilter filter) => _filter = filter;

    /// <param name="learned">What filters found out about the request; null for nothing.</param>
    public PolicyAnswer Decide(PolicyQuestion asked, LearnedFacts? learned)
    {
        var peer = asked.Identity.Length == 0 || asked.IsTunnelled ? null : new TlsPeer([asked.Identity], [], "", "-", "", asked.ServerName, "");
        var (isAllowed, rule) = _filter.Decide(new(asked.Request?.Head, asked.Scheme, peer, asked.Source, asked.Source.Address, asked.Destination,
            asked.ServerName, learned?.Metadata)
        {
            State = asked.IsTunnelled ? FilterState.Empty.With(FilterState.PeerPrincipal, new(asked.Identity)) : FilterState.Empty,
        });
        return new(isAllowed, rule);
    }
}
