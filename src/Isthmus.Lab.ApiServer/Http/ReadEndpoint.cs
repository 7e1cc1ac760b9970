using System.Buffers;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Http.Output;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Tables;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Http;

/// <summary>get and list.</summary>
internal sealed class ReadEndpoint(ApiServerContext context)
{
    private const int FlushSize = 256 * 1024;

    internal async Task GetAsync(Call call)
    {
        if (call.ResourceVersion() is { } version && version > context.Store.Revision) await ListQuery.WaitForAsync(context.Store, version, call.Stop);
        var stored = context.Store.Find(call.Kind.Storage, call.Attributes.Namespace, call.Attributes.Name)
            ?? throw ApiException.NotFound(call.Kind.GroupResource, call.Attributes.Name);
        if (call.Attributes.Subresource == "scale")
            await ObjectResponses.ScaleAsync(call, stored, context.Time.GetUtcNow());
        else
            await ObjectResponses.ObjectAsync(call, 200, stored, context.Time.GetUtcNow());
    }

    internal async Task ListAsync(Call call)
    {
        var accept = Accept.Of(call.Http.Request);
        var query = new ListQuery(call, context.Store);
        var page = await query.ReadAsync(call.Stop);
        await WriteAsync(call, accept, page.Items, query.Metadata(page));
    }

    internal async Task WriteAsync(Call call, Accept accept, IReadOnlyList<StoredObject> items, JsonObject metadata)
    {
        Responses.SendWarnings(call.Http, call.Warnings);
        var kind = call.Kind;
        switch (accept.Form)
        {
            case OutputForm.Table:
                var table = new TableForm(kind, accept.MetaVersion, ObjectResponses.IncludeObject(call), context.Time.GetUtcNow());
                await Responses.TreeAsync(call.Http, 200, table.Of(items, metadata, true), accept);
                return;
            case OutputForm.PartialObjectMetadata:
                var partial = new JsonArray([.. items.Select(item => TableForm.Partial(item.Parse(), accept.MetaVersion))]);
                await Responses.TreeAsync(call.Http, 200, List("PartialObjectMetadataList", $"meta.k8s.io/{accept.MetaVersion}", metadata, partial), accept);
                return;
            case OutputForm.Json when !accept.Pretty:
                await StreamAsync(call, items, metadata);
                return;
            default:
                var trees = new JsonArray([.. items.Select(item => Item(kind, item))]);
                await Responses.TreeAsync(call.Http, 200, List(kind.ListKind, kind.ApiVersion, metadata, trees), accept);
                return;
        }
    }

    private static JsonObject List(string kind, string apiVersion, JsonObject metadata, JsonArray items) =>
        new() { ["kind"] = kind, ["apiVersion"] = apiVersion, ["metadata"] = metadata, ["items"] = items };

    private static JsonNode Item(KindDescriptor kind, StoredObject stored)
    {
        var tree = Versions.ToRequested(kind, stored);
        if (kind.IsCustom) return tree;
        tree.Remove("kind");
        tree.Remove("apiVersion");
        return tree;
    }

    /// <summary>Stored bytes go out as they are; items of built-in kinds without their kind and apiVersion.</summary>
    private static async Task StreamAsync(Call call, IReadOnlyList<StoredObject> items, JsonObject metadata)
    {
        var kind = call.Kind;
        var response = call.Http.Response;
        response.StatusCode = 200;
        response.ContentType = "application/json";
        response.Headers.CacheControl = "no-cache, private";
        var writer = response.BodyWriter;
        writer.Write(Encoding.UTF8.GetBytes($"{{\"kind\":\"{kind.ListKind}\",\"apiVersion\":\"{kind.ApiVersion}\",\"metadata\":"));
        writer.Write(JsonText.ToBytes(metadata));
        writer.Write(",\"items\":["u8);
        long pending = 0;
        for (var i = 0; i < items.Count; i++)
        {
            if (i > 0) writer.Write(","u8);
            var item = items[i];
            if (!Versions.IsAsStored(kind, item)) writer.Write(JsonText.ToBytes(Item(kind, item)));
            else if (kind.IsCustom) writer.Write(item.Json.Span);
            else
            {
                writer.Write("{"u8);
                writer.Write(item.Json.Span[item.BodyStart..]);
            }
            pending += item.Json.Length;
            if (pending < FlushSize) continue;
            pending = 0;
            await writer.FlushAsync(call.Stop);
        }
        writer.Write("]}\n"u8);
        await writer.FlushAsync(call.Stop);
    }
}
