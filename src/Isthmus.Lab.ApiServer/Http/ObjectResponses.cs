using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Http.Output;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Tables;

namespace Isthmus.Lab.ApiServer.Http;

/// <summary>Writes stored objects as answers: in the version of the request, as a table, or reduced to metadata.</summary>
internal static class ObjectResponses
{
    internal static Task ObjectAsync(Call call, int code, StoredObject stored, DateTimeOffset now)
    {
        var accept = Accept.Of(call.Http.Request);
        Responses.SendWarnings(call.Http, call.Warnings);
        switch (accept.Form)
        {
            case OutputForm.Json when !accept.Pretty && Versions.IsAsStored(call.Kind, stored):
                return Responses.BytesAsync(call.Http, code, "application/json", stored.Json, true);
            case OutputForm.Table:
                var table = new TableForm(call.Kind, accept.MetaVersion, IncludeObject(call), now);
                return Responses.TreeAsync(call.Http, code, table.Of(stored), accept);
            case OutputForm.PartialObjectMetadata:
                return Responses.TreeAsync(call.Http, code, TableForm.Partial(stored.Parse(), accept.MetaVersion), accept);
            default:
                return Responses.TreeAsync(call.Http, code, Versions.ToRequested(call.Kind, stored), accept);
        }
    }

    /// <summary>Answers with the replicas of an object, as the subresource scale shows them.</summary>
    internal static Task ScaleAsync(Call call, StoredObject stored, DateTimeOffset now)
    {
        var accept = Accept.Of(call.Http.Request);
        Responses.SendWarnings(call.Http, call.Warnings);
        var scale = Scales.Of(call.Kind, Versions.ToRequested(call.Kind, stored));
        if (accept.Form == OutputForm.Table)
            scale = new TableForm(Scales.KindOf(call.Kind) with { Table = WorkloadTables.Scales() }, accept.MetaVersion, IncludeObject(call), now).Of(scale);
        return Responses.TreeAsync(call.Http, 200, scale, accept);
    }

    internal static string IncludeObject(Call call) => call.Query("includeObject") switch
    {
        "" or "Metadata" => "Metadata",
        "Object" => "Object",
        "None" => "None",
        var other => throw ApiException.BadRequest($"includeObject: Invalid value: \"{other}\": must be 'Metadata', 'Object', 'None', or empty"),
    };
}
