using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Tables;
using Isthmus.Lab.ApiServer.Values;
using Microsoft.AspNetCore.Http;

namespace Isthmus.Lab.ApiServer.Http;

/// <summary>Writes answers in the form that the client asked for.</summary>
internal static class Responses
{
    private static readonly byte[] NewLine = "\n"u8.ToArray();

    internal static Task StatusAsync(HttpContext http, ApiException e)
    {
        var pretty = Accept.PlainJson;
        if (e.Details.RetryAfterSeconds > 0) http.Response.Headers.RetryAfter = e.Details.RetryAfterSeconds.ToString(System.Globalization.CultureInfo.InvariantCulture);
        return TreeAsync(http, e.Code, e.ToStatus(), pretty);
    }

    internal static Task TreeAsync(HttpContext http, int code, JsonObject tree, Accept accept) =>
        accept.Form == OutputForm.Yaml
            ? BytesAsync(http, code, "application/yaml", Encoding.UTF8.GetBytes(YamlText.Print(tree)), false)
            : BytesAsync(http, code, "application/json", JsonText.ToBytes(tree, accept.Pretty), true);

    internal static Task ObjectAsync(Call call, int code, StoredObject stored, DateTimeOffset now)
    {
        var accept = Accept.Of(call.Http.Request);
        SendWarnings(call.Http, call.Warnings);
        switch (accept.Form)
        {
            case OutputForm.Json when !accept.Pretty && Versions.IsAsStored(call.Kind, stored):
                return BytesAsync(call.Http, code, "application/json", stored.Json, true);
            case OutputForm.Table:
                var table = new TableForm(call.Kind, accept.MetaVersion, IncludeObject(call), now);
                return TreeAsync(call.Http, code, table.Of(stored), accept);
            case OutputForm.PartialObjectMetadata:
                return TreeAsync(call.Http, code, TableForm.Partial(stored.Parse(), accept.MetaVersion), accept);
            default:
                return TreeAsync(call.Http, code, Versions.ToRequested(call.Kind, stored), accept);
        }
    }

    /// <summary>Answers with the replicas of an object, as the subresource scale shows them.</summary>
    internal static Task ScaleAsync(Call call, StoredObject stored, DateTimeOffset now)
    {
        var accept = Accept.Of(call.Http.Request);
        SendWarnings(call.Http, call.Warnings);
        var scale = Scales.Of(call.Kind, Versions.ToRequested(call.Kind, stored));
        if (accept.Form == OutputForm.Table)
            scale = new TableForm(Scales.KindOf(call.Kind) with { Table = WorkloadTables.Scales() }, accept.MetaVersion, IncludeObject(call), now).Of(scale);
        return TreeAsync(call.Http, 200, scale, accept);
    }

    internal static string IncludeObject(Call call) => call.Query("includeObject") switch
    {
        "" or "Metadata" => "Metadata",
        "Object" => "Object",
        "None" => "None",
        var other => throw ApiException.BadRequest($"includeObject: Invalid value: \"{other}\": must be 'Metadata', 'Object', 'None', or empty"),
    };

    internal static void SendWarnings(HttpContext http, List<string> warnings)
    {
        foreach (var warning in warnings.Distinct())
        {
            var text = new string([.. warning.Where(c => c >= ' ')]).Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal);
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
}
