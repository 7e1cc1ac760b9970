using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Config.GatewayApi;

/// <summary>Reads the authorizer of a filter <c>ExternalAuth</c>.</summary>
internal static class ApiAuthorizerReader
{
    private const string Grpc = "GRPC", Http = "HTTP";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <param name="filter">The field; what is wrong with it is an error of it.</param>
    /// <param name="ns">The namespace of the route.</param>
    public static ApiAuthorizer Read(Field filter, string ns)
    {
        var (protocol, http) = (filter["protocol"], filter["http"]);
        if (protocol.Text is not (Grpc or Http)) protocol.Error($"\"{protocol.Text}\" is not a protocol of authorizers", $"use {Http} or {Grpc}");
        var isGrpc = protocol.Text == Grpc;
        HeadTexts.CheckPath(http["path"]);
        var (own, most) = (isGrpc ? filter["grpc"] : http, filter["forwardBody"]["maxSize"].Int ?? 0);
        if (most < 0) filter["forwardBody"]["maxSize"].Error("must not be negative");
        var upstream = Names(http["allowedResponseHeaders"]);
        return new(References.Backend(filter["backendRef"], ns), new("", "", 0, isGrpc)
        {
            Timeout = Patience,
            PathPrefix = !isGrpc && http["path"].Text.Trim('/') is { Length: > 0 } path ? $"/{path}" : "",
            // A longer body is refused: half of it could mean something else.
            Body = most > 0 ? new((uint)most, AllowPartial: false, AsBytes: false) : null,
            RequestHeaders = Names(own["allowedHeaders"]),
            UpstreamOnAllow = upstream,
            PassesAll = !isGrpc && upstream.IsEmpty,
        });
    }

    private static ValueList<string> Names(Field names)
    {
        foreach (var name in names.Items.Where(name => !HeaderNames.IsName(name.Text)))
            name.Error($"\"{name.Text}\" is not the name of a header", "use letters, digits and dashes");
        return names.Texts.Select(name => name.ToLowerInvariant()).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToValueList();
    }
}
