using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Http.Output;
using Isthmus.Lab.ApiServer.Values;
using Isthmus.Lab.ApiServer.VirtualResources;
using Microsoft.AspNetCore.Http;

namespace Isthmus.Lab.ApiServer.Discovery;

/// <summary>The lists of groups, versions and resources in all forms, regenerated when the registry changes.</summary>
internal sealed class DiscoveryDocuments(ApiServerContext context, IReadOnlyList<VirtualResourceDescriptor> virtuals)
{
    private State? _state;

    internal Task HandleAsync(HttpContext http, string path)
    {
        var state = Current();
        if (path is "/api" or "/apis" && AggregatedVersion(http) is { } version) return AggregatedAsync(http, state, path, version);
        return path == "/" ? SendAsync(http, Paths(state))
            : state.Documents.TryGetValue(path, out var document) ? SendAsync(http, document)
            : Responses.NotFoundAsync(http);
    }

    private static Task SendAsync(HttpContext http, JsonObject document)
    {
        if (http.Request.Path.Value is "/api" or "/apis") http.Response.Headers.Vary = "Accept";
        return Responses.TreeAsync(http, 200, document, Accept.Of(http.Request) with { Form = OutputForm.Json });
    }

    /// <summary>v2 or v2beta1 when the client takes the aggregated form; the order of its Accept counts.</summary>
    private static string? AggregatedVersion(HttpContext http)
    {
        foreach (var clause in http.Request.Headers.Accept.SelectMany(header => (header ?? "").Split(',', StringSplitOptions.TrimEntries)))
        {
            var isAggregated = clause.Contains("as=APIGroupDiscoveryList", StringComparison.Ordinal)
                && clause.Contains("g=apidiscovery.k8s.io", StringComparison.Ordinal);
            var version = clause.Split(';', StringSplitOptions.TrimEntries).FirstOrDefault(part => part.StartsWith("v=", StringComparison.Ordinal))?[2..];
            if (isAggregated && clause.StartsWith("application/json", StringComparison.Ordinal) && version is "v2" or "v2beta1") return version;
            if (!isAggregated && clause is "application/json" or "*/*") return null;
        }
        return null;
    }

    private static async Task AggregatedAsync(HttpContext http, State state, string path, string version)
    {
        var (bytes, etag) = state.Aggregated[(path, version)];
        http.Response.Headers.ETag = etag;
        http.Response.Headers.Vary = "Accept";
        http.Response.Headers.CacheControl = "public";
        if (http.Request.Headers.IfNoneMatch.Contains(etag))
        {
            http.Response.StatusCode = 304;
            return;
        }
        await Responses.BytesAsync(http, 200, $"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList", bytes, true);
    }

    private static JsonObject Paths(State state) =>
        new()
        {
            ["paths"] = new JsonArray([.. state.Documents.Keys.Append("/healthz").Append("/livez").Append("/openapi/v2").Append("/openapi/v3").Append("/readyz")
                .Append("/version").Order(StringComparer.Ordinal).Select(path => (JsonNode)path)])
        };

    private State Current()
    {
        var generation = context.Kinds.Generation;
        var state = Volatile.Read(ref _state);
        if (state is not null && state.Generation == generation) return state;
        state = new(generation, new DiscoveryBuilder(context, virtuals));
        Volatile.Write(ref _state, state);
        return state;
    }

    private sealed class State
    {
        internal State(long generation, DiscoveryBuilder builder)
        {
            Generation = generation;
            Documents = builder.Documents();
            foreach (var path in (string[])["/api", "/apis"])
            {
                foreach (var version in (string[])["v2", "v2beta1"])
                {
                    var bytes = JsonText.ToBytes(builder.Aggregated(path, version));
                    Aggregated[(path, version)] = (bytes, $"\"{Convert.ToHexString(SHA256.HashData(bytes))}\"");
                }
            }
        }

        internal long Generation { get; }

        internal IReadOnlyDictionary<string, JsonObject> Documents { get; }

        internal Dictionary<(string Path, string Version), (byte[] Bytes, string Etag)> Aggregated { get; } = [];
    }
}
