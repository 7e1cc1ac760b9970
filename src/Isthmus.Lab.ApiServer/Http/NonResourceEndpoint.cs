using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Discovery;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Http.Output;
using Isthmus.Lab.ApiServer.OpenApi;
using Isthmus.Lab.ApiServer.Values;
using Microsoft.AspNetCore.Http;

namespace Isthmus.Lab.ApiServer.Http;

/// <summary>Discovery, OpenAPI, version and health.</summary>
internal sealed class NonResourceEndpoint(ApiServerParts parts, DiscoveryDocuments discovery, OpenApiDocuments openApi)
{
    private static readonly string[] Checks = ["ping", "log", "store", "informer-sync"];

    internal Task HandleAsync(HttpContext http, string path)
    {
        if (http.Request.Method != "GET") throw ApiException.MethodNotAllowed();
        var trimmed = path.Length > 1 ? path.TrimEnd('/') : path;
        if (parts.Documents.TryGetValue(trimmed, out var document))
        {
            http.Response.ContentType = document.MediaType;
            return http.Response.Body.WriteAsync(JsonText.ToBytes(document.Body), http.RequestAborted).AsTask();
        }
        return trimmed switch
        {
            "/version" => Responses.TreeAsync(http, 200, Version(), Accept.Of(http.Request) with { Form = OutputForm.Json, Pretty = true }),
            "/healthz" or "/livez" or "/readyz" => Responses.TextAsync(http, 200, Health(http, trimmed[1..])),
            _ when trimmed.StartsWith("/healthz/", StringComparison.Ordinal) || trimmed.StartsWith("/livez/", StringComparison.Ordinal)
                || trimmed.StartsWith("/readyz/", StringComparison.Ordinal)
                => Checks.Contains(trimmed[(trimmed.LastIndexOf('/') + 1)..]) ? Responses.TextAsync(http, 200, "ok") : Responses.NotFoundAsync(http),
            "/openapi/v3" or "/openapi/v2" => openApi.HandleAsync(http, trimmed),
            _ when trimmed.StartsWith("/openapi/v3/", StringComparison.Ordinal) => openApi.HandleAsync(http, trimmed),
            _ => discovery.HandleAsync(http, trimmed),
        };
    }

    private static string Health(HttpContext http, string name) =>
        http.Request.Query.ContainsKey("verbose")
            ? string.Concat(Checks.Select(check => $"[+]{check} ok\n")) + $"{name} check passed\n"
            : "ok";

    private static JsonObject Version() => new()
    {
        ["major"] = "1",
        ["minor"] = "32",
        ["gitVersion"] = KubernetesVersion.Tagged,
        ["gitCommit"] = "",
        ["gitTreeState"] = "clean",
        ["buildDate"] = "1970-01-01T00:00:00Z",
        ["goVersion"] = "",
        ["compiler"] = "",
        ["platform"] = System.Runtime.InteropServices.RuntimeInformation.OSArchitecture == System.Runtime.InteropServices.Architecture.Arm64
            ? "linux/arm64"
            : "linux/amd64",
    };
}
