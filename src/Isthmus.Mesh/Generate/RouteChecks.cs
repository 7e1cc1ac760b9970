using System.Text;
using System.Text.RegularExpressions;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Envoy.Routes;
using HttpFilter = Isthmus.Wire.Envoy.NetworkFilters.HttpFilter;

namespace Isthmus.Mesh.Generate;

/// <summary>Authorizers that rules of routes ask: filters that are off, and what routes say to them.</summary>
internal static class RouteChecks
{
    /// <summary>Fields that say how a message is sent, or whom it is for.</summary>
    private static readonly string[] OfMessages =
        ["connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

    /// <summary>The names of all other fields.</summary>
    internal static readonly string Others = $"[^:{FirstLetters(OfMessages)}].*|{string.Join('|', Branches(OfMessages))}";

    /// <summary>Without what a route says, it reaches nobody, and refuses.</summary>
    public static HttpFilter Filter(RouteCheckForm form)
    {
        var nobody = new ReachedAuthorizer(new("", "", 0, form.IsGrpc), ResourceNames.Unresolved, ResourceNames.Unresolved);
        var check = new ExtAuthz { TransportApiVersion = Wire.Envoy.ApiVersion.V3, AllowedHeaders = ExternalChecks.Names(form.Headers) };
        if (form.IsGrpc) check.GrpcService = ExternalChecks.Grpc(nobody);
        else check.HttpService = ExternalChecks.Plain(nobody);
        return new() { Name = form.Name, TypedConfig = Parts.Pack(check), Disabled = true };
    }

    /// <param name="route">The route.</param>
    /// <param name="asked">The authorizer.</param>
    /// <param name="cluster">The cluster that leads to it.</param>
    public static void Add(Route route, RouteAuthorizer asked, string cluster)
    {
        var reached = new ReachedAuthorizer(asked.Settings, asked.To.Host, cluster);
        var settings = new CheckSettings();
        if (asked.Settings.Body is { } body) settings.WithRequestBody = new() { MaxRequestBytes = body.MaxBytes };
        else settings.DisableRequestBodyBuffering = true;
        if (asked.Settings.IsGrpc) settings.GrpcService = ExternalChecks.Grpc(reached);
        else settings.HttpService = ExternalChecks.Plain(reached);
        route.TypedPerFilterConfig[asked.Form.Name] = Parts.Pack(new ExtAuthzPerRoute { CheckSettings = settings });
    }

    /// <summary>Regular expressions for what is none of some words: RE2 has no negation.</summary>
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
