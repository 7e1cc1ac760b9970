using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Http;
using Microsoft.AspNetCore.Http;

namespace Isthmus.Lab.ApiServer.OpenApi;

/// <summary>OpenAPI v3 by group version, and v2. Documents are made when asked for and kept until the registry changes.</summary>
internal sealed class OpenApiDocuments(ApiServerContext context)
{
    private State? _state;

    internal Task HandleAsync(HttpContext http, string path)
    {
        var state = Current();
        if (path == "/openapi/v2") return NonResourceEndpoint.NotFoundAsync(http);
        if (path == "/openapi/v3") return Responses.BytesAsync(http, 200, "text/plain; charset=utf-8", state.Index(), false);
        return state.Document(path["/openapi/v3/".Length..]) is { } document ? SendAsync(http, document) : NonResourceEndpoint.NotFoundAsync(http);
    }

    private static async Task SendAsync(HttpContext http, (byte[] Bytes, string Hash) document)
    {
        var etag = $"\"{document.Hash}\"";
        http.Response.Headers.ETag = etag;
        http.Response.Headers.Vary = "Accept";
        if (http.Request.Query.ContainsKey("hash")) http.Response.Headers.CacheControl = "public, immutable";
        if (http.Request.Headers.IfNoneMatch.Contains(etag))
        {
            http.Response.StatusCode = 304;
            return;
        }
        await Responses.BytesAsync(http, 200, "application/json", document.Bytes, false);
    }

    private State Current()
    {
        var generation = context.Kinds.Generation;
        var state = Volatile.Read(ref _state);
        if (state is not null && state.Generation == generation) return state;
        state = new(generation, [.. context.Kinds.All]);
        Volatile.Write(ref _state, state);
        return state;
    }

    private sealed class State(long generation, IReadOnlyList<KindDescriptor> kinds)
    {
        private readonly Dictionary<string, List<KindDescriptor>> _byPath = kinds
            .GroupBy(kind => kind.Group.Length == 0 ? $"api/{kind.Version}" : $"apis/{kind.Group}/{kind.Version}")
            .ToDictionary(group => group.Key, group => group.ToList());

        private readonly System.Collections.Concurrent.ConcurrentDictionary<string, (byte[], string)> _documents = new();

        internal long Generation => generation;

        internal byte[] Index()
        {
            var paths = new JsonObject();
            foreach (var path in _byPath.Keys.Order(StringComparer.Ordinal))
                paths[path] = new JsonObject { ["serverRelativeURL"] = $"/openapi/v3/{path}?hash={Document(path)!.Value.Hash}" };
            return JsonText.ToBytes(new JsonObject { ["paths"] = paths });
        }

        internal (byte[] Bytes, string Hash)? Document(string path)
        {
            if (!_byPath.TryGetValue(path, out var group)) return null;
            return _documents.GetOrAdd(path, _ =>
            {
                var bytes = JsonText.ToBytes(OpenApiV3.Of(group));
                return (bytes, Convert.ToHexString(SHA512.HashData(bytes)));
            });
        }
    }
}
