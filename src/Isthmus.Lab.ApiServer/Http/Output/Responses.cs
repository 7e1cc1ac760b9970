using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Values;
using Microsoft.AspNetCore.Http;

namespace Isthmus.Lab.ApiServer.Http.Output;

/// <summary>Writes answers in the form that the client asked for.</summary>
internal static class Responses
{
    private static readonly byte[] NewLine = "\n"u8.ToArray();

    internal static Task StatusAsync(HttpContext http, ApiException e)
    {
        var pretty = Accept.PlainJson;
        if (e.Details.RetryAfterSeconds > 0)
            http.Response.Headers.RetryAfter = e.Details.RetryAfterSeconds.ToString(System.Globalization.CultureInfo.InvariantCulture);
        return TreeAsync(http, e.Code, e.ToStatus(), pretty);
    }

    internal static Task TreeAsync(HttpContext http, int code, JsonObject tree, Accept accept) =>
        accept.Form == OutputForm.Yaml
            ? BytesAsync(http, code, "application/yaml", Encoding.UTF8.GetBytes(YamlText.Print(tree)), false)
            : BytesAsync(http, code, "application/json", JsonText.ToBytes(tree, accept.Pretty), true);

    internal static void SendWarnings(HttpContext http, List<string> warnings)
    {
        foreach (var warning in warnings.Distinct())
        {
            var text = new string([.. warning.Where(c => c >= ' ')]).Replace("\\", "\\\\", StringComparison.Ordinal)
                .Replace("\"", "\\\"", StringComparison.Ordinal);
            http.Response.Headers.Append("Warning", $"299 - \"{text}\"");
        }
    }

    internal static async Task BytesAsync(HttpContext http, int code, string contentType, ReadOnlyMemory<byte> body, bool newLine)
    {
        http.Response.StatusCode = code;
        http.Response.ContentType = contentType;
        http.Response.ContentLength = body.Length + (newLine ? 1 : 0);
        if (http.Response.Headers.CacheControl.Count == 0) http.Response.Headers.CacheControl = "no-cache, private";
        if (HttpMethods.IsHead(http.Request.Method)) return;
        var writer = http.Response.BodyWriter;
        System.Buffers.BuffersExtensions.Write(writer, body.Span);
        if (newLine) System.Buffers.BuffersExtensions.Write(writer, NewLine);
        await writer.FlushAsync(http.RequestAborted);
    }

    internal static Task TextAsync(HttpContext http, int code, string text) =>
        BytesAsync(http, code, "text/plain; charset=utf-8", Encoding.UTF8.GetBytes(text), false);

    internal static Task NotFoundAsync(HttpContext http) => TextAsync(http, 404, "404 page not found\n");
}
