using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Http.Output;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Values;
using Microsoft.AspNetCore.Http;

namespace Isthmus.Lab.ApiServer.OpenApi;

/// <summary>
/// OpenAPI v3 by group version, and v2. Documents are generated on the first request and kept until the registry changes.
/// </summary>
internal sealed class OpenApiDocuments(ApiServerContext context)
{
    private State? _state;

    internal Task HandleAsync(HttpContext http, string path)
    {
        var state = Current();
        return path switch
        {
            "/openapi/v2" => VersionTwoAsync(http, state),
            "/openapi/v3" => Responses.BytesAsync(http, 200, "text/plain; charset=utf-8", state.Index(), false),
            _ => state.Document(path["/openapi/v3/".Length..]) is { } document
                ? SendAsync(http, "application/json", document.Bytes, document.Hash)
                : Responses.NotFoundAsync(http),
        };
    }

    private static Task VersionTwoAsync(HttpContext http, State state)
    {
        var accept = http.Request.Headers.Accept.ToString();
        if (accept.Length > 0 && !accept.Contains("proto-openapi", StringComparison.Ordinal) && !accept.Contains("*/*", StringComparison.Ordinal))
            throw new ApiException(406, "NotAcceptable", $"406: Not Acceptable\n\nAvailable representations: {OpenApiV2.MediaType}");
        return SendAsync(http, OpenApiV2.MediaType, state.VersionTwo, state.Hash);
    }

    private static async Task SendAsync(HttpContext http, string mediaType, byte[] bytes, string hash)
    {
        var etag = $"\"{hash}\"";
        http.Response.Headers.ETag = etag;
        http.Response.Headers.Vary = "Accept";
        if (http.Request.Query.ContainsKey("hash")) http.Response.Headers.CacheControl = "public, immutable";
        if (http.Request.Headers.IfNoneMatch.Contains(etag))
        {
            http.Response.StatusCode = 304;
            return;
        }
        await Responses.BytesAsync(http, 200, mediaType, bytes, false);
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
        private static readonly string Build = typeof(OpenApiDocuments).Module.ModuleVersionId.ToString();

        private readonly Dictionary<string, List<KindDescriptor>> _byPath = kinds
            .GroupBy(kind => kind.Group.Length == 0 ? $"api/{kind.Version}" : $"apis/{kind.Group}/{kind.Version}")
            .ToDictionary(group => group.Key, group => group.ToList());

        private readonly ConcurrentDictionary<string, byte[]> _documents = new(StringComparer.Ordinal);
        private readonly Lazy<byte[]> _versionTwo = new(() => OpenApiV2.Of(kinds));

        internal long Generation => generation;

        internal byte[] VersionTwo => _versionTwo.Value;

        internal string Hash => HashOf(kinds);

        internal byte[] Index()
        {
            var paths = new JsonObject();
            foreach (var (path, group) in _byPath.OrderBy(pair => pair.Key, StringComparer.Ordinal))
                paths[path] = new JsonObject { ["serverRelativeURL"] = $"/openapi/v3/{path}?hash={HashOf(group)}" };
            return JsonText.ToBytes(new JsonObject { ["paths"] = paths });
        }

        internal (byte[] Bytes, string Hash)? Document(string path) =>
            _byPath.TryGetValue(path, out var group) ? (_documents.GetOrAdd(path, _ => JsonText.ToBytes(OpenApiV3.Of(group))), HashOf(group)) : null;

        /// <summary>The hash covers the input of the documents, so that the index does not need to generate them.</summary>
        private static string HashOf(IEnumerable<KindDescriptor> group)
        {
            var text = new StringBuilder(Build);
            foreach (var kind in group)
                text.Append('\n').Append(kind.ApiVersion).Append(' ').Append(kind.Kind).Append(kind.OpenApiSchema?.ToJsonString(JsonText.Relaxed));
            return Convert.ToHexString(SHA512.HashData(Encoding.UTF8.GetBytes(text.ToString())));
        }
    }
}
