using System.Text;
using System.Text.RegularExpressions;
using Isthmus.Core.Names;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Envoy.HttpFilters.Composites;
using Isthmus.Wire.Envoy.Routes;
using HttpFilter = Isthmus.Wire.Envoy.NetworkFilters.HttpFilter;

namespace Isthmus.Mesh.Generate;

/// <summary>Authorizers that rules of routes ask: a filter that runs nothing, and what routes say to it.</summary>
internal static class RouteChecks
{
    /// <summary>Fields that say how a message is sent, or which host it is for.</summary>
    private static readonly string[] OfMessages =
        ["connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

    /// <summary>The names of all other fields.</summary>
    internal static readonly string Others = $"[^:{FirstLetters(OfMessages)}].*|{string.Join('|', Branches(OfMessages))}";

    /// <summary>Every listener has it, whatever its routes say: one that came with the first rule would be missing on connections from before. It does
    /// nothing by itself, and is on: which filters are off is decided by the route before any of them, and one may change the route.</summary>
    public static readonly HttpFilter Filter = new()
    {
        Name = RouteFilterNames.Check,
        TypedConfig = Parts.Pack(new ExtensionWithMatcher
        {
            ExtensionConfig = new() { Name = "envoy.filters.http.composite", TypedConfig = Parts.Pack(new Composite()) },
        }),
    };

    /// <param name="route">The route.</param>
    /// <param name="asked">The authorizer.</param>
    /// <param name="cluster">The cluster that leads to it.</param>
    public static void Add(Route route, RouteAuthorizer asked, string cluster)
    {
        var reached = new ReachedAuthorizer(asked.Settings, asked.To.Host, cluster);
        var check = new ExtAuthz { TransportApiVersion = Wire.Envoy.ApiVersion.V3, AllowedHeaders = ExternalChecks.Names(asked.Settings.RequestHeaders) };
        if (asked.Settings.Body is { } body) check.WithRequestBody = new() { MaxRequestBytes = body.MaxBytes };
        if (asked.Settings.IsGrpc) check.GrpcService = ExternalChecks.Grpc(reached);
        else check.HttpService = ExternalChecks.Plain(reached);
        var action = new ExecuteFilterAction { TypedConfig = new() { Name = "envoy.filters.http.ext_authz", TypedConfig = Parts.Pack(check) } };
        route.TypedPerFilterConfig[RouteFilterNames.Check] = Parts.Pack(new ExtensionWithMatcherPerRoute
        {
            XdsMatcher = new() { OnNoMatch = new() { Action = new() { Name = "composite-action", TypedConfig = Parts.Pack(action) } } },
        });
    }

    /// <summary>Regular expressions for everything but some words: RE2 has no negation.</summary>
    private static IEnumerable<string> Branches(IEnumerable<string> words) => words.GroupBy(word => word[0]).Select(group =>
    {
        var rests = group.Select(word => word[1..]).ToList();
        var longer = rests.Where(rest => rest.Length > 0).ToList();
        var other = longer.Count == 0 ? ".+" : $"[^{FirstLetters(longer)}].*|{string.Join('|', Branches(longer))}";
        return $"{Regex.Escape(group.Key.ToString())}(?:{other}){(rests.Contains("") ? "" : "?")}";
    });

    private static string FirstLetters(IEnumerable<string> words) => new StringBuilder().AppendJoin("", words.Select(word => word[0]).Distinct()
        .OrderBy(letter => letter != '-').ThenBy(letter => letter)).ToString().Replace("-", @"\-", StringComparison.Ordinal);
}
