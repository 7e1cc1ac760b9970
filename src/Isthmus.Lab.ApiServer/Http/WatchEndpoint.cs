using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Http.Output;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Tables;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Http;

/// <summary>watch: one JSON object and a line end for each change, until the client disconnects or its timeout expires.</summary>
internal sealed class WatchEndpoint(ApiServerContext context)
{
    private static readonly TimeSpan BookmarkPeriod = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan BookmarkLead = TimeSpan.FromSeconds(2);

    internal async Task WatchAsync(Call call)
    {
        var accept = Accept.Of(call.Http.Request);
        if (accept.Form == OutputForm.Yaml)
            throw new ApiException(406, "NotAcceptable",
                "406: Not Acceptable\n\nAvailable representations: application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch");
        var query = new ListQuery(call, context.Store);
        var version = call.ResourceVersion();
        var initialEvents = call.Query("sendInitialEvents").Length == 0 ? "" : call.Flag("sendInitialEvents") ? "true" : "false";
        CheckInitialEvents(call, initialEvents, version);
        var timeout = TimeSpan.FromSeconds(call.Number("timeoutSeconds") is { } seconds and > 0 ? seconds : RandomTimeout());
        var output = new WatchOutput(call, accept, context.Time);
        await output.StartAsync();
        IObjectWatch watch;
        var fromList = version is null or 0 || initialEvents == "true";
        try
        {
            var list = fromList && initialEvents != "false" ? context.Store.List(call.Kind.Storage, query.Namespace) : null;
            if (list is not null)
                foreach (var o in list.Items.Where(query.Matches)) await output.EventAsync("ADDED", o, o.Revision);
            watch = context.Store.Watch(call.Kind.Storage, list?.Revision ?? (version is null or 0 ? context.Store.Revision : version.Value));
        }
        catch (CompactedException e)
        {
            await output.ErrorAsync(new ApiException(410, "Expired", e.Message, withDetails: false));
            return;
        }
        if (call.Flag("allowWatchBookmarks") && fromList && (initialEvents == "true" || version == 0))
            await output.BookmarkAsync(watch.SeenRevision, endOfInitialEvents: true);
        await output.FlushAsync();
        await FollowAsync(call, query, watch, output, timeout);
    }

    private async Task FollowAsync(Call call, ListQuery query, IObjectWatch watch, WatchOutput output, TimeSpan timeout)
    {
        var bookmarks = call.Flag("allowWatchBookmarks");
        var start = context.Time.GetTimestamp();
        var nextBookmark = timeout > BookmarkPeriod ? BookmarkPeriod : timeout - BookmarkLead;
        if (nextBookmark < timeout / 2) nextBookmark = timeout / 2;
        while (true)
        {
            while (watch.TryRead(out var change)) await DeliverAsync(query, change, output);
            await output.FlushAsync();
            var elapsed = context.Time.GetElapsedTime(start);
            if (elapsed >= timeout) return;
            if (bookmarks && elapsed >= nextBookmark)
            {
                await output.BookmarkAsync(watch.SeenRevision, false);
                await output.FlushAsync();
                nextBookmark = timeout - elapsed > BookmarkPeriod + BookmarkLead ? elapsed + BookmarkPeriod
                    : elapsed < timeout - BookmarkLead ? timeout - BookmarkLead : timeout + BookmarkPeriod;
            }
            var until = bookmarks && nextBookmark < timeout ? nextBookmark : timeout;
            await WaitAsync(watch, until - elapsed, call.Stop);
        }
    }

    private static async Task WaitAsync(IObjectWatch watch, TimeSpan atMost, CancellationToken stop)
    {
        using var timer = CancellationTokenSource.CreateLinkedTokenSource(stop);
        timer.CancelAfter(atMost < TimeSpan.FromMilliseconds(1) ? TimeSpan.FromMilliseconds(1) : atMost);
        try
        {
            await watch.WaitAsync(timer.Token);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            // The time for a bookmark or the end of the watch has come.
        }
    }

    /// <summary>An object that starts to match was added as far as this client knows; one that stops was deleted.</summary>
    private static async Task DeliverAsync(ListQuery query, ObjectChange change, WatchOutput output)
    {
        if (query.Namespace is { } ns && change.Object.Namespace != ns) return;
        var matched = change.Previous is not null && query.Matches(change.Previous);
        var matches = change.Type != ChangeType.Deleted && query.Matches(change.Object);
        if (matches) await output.EventAsync(matched ? "MODIFIED" : "ADDED", change.Object, change.Revision);
        else if (matched) await output.EventAsync("DELETED", change.Type == ChangeType.Deleted ? change.Object : change.Previous!, change.Revision);
    }

    private static void CheckInitialEvents(Call call, string initialEvents, long? version)
    {
        if (initialEvents.Length == 0) return;
        var errors = new List<FieldError>();
        var match = call.Query("resourceVersionMatch");
        if (match != "NotOlderThan")
            errors.Add(FieldError.Forbidden("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
        if (errors.Count > 0) throw ApiException.Invalid("meta.k8s.io", "ListOptions", "", errors);
    }

    private long RandomTimeout()
    {
        lock (context.Random) return context.Random.Next(1800, 3600); // the shared generator
    }
}

/// <summary>Writes events in the form that the client asked for.</summary>
internal sealed class WatchOutput(Call call, Accept accept, TimeProvider time)
{
    private readonly PipeWriter _writer = call.Http.Response.BodyWriter;
    private bool _columnsSent;
    private long _pending;

    internal async Task StartAsync()
    {
        Responses.SendWarnings(call.Http, call.Warnings);
        call.Http.Response.StatusCode = 200;
        call.Http.Response.ContentType = "application/json";
        call.Http.Response.Headers.CacheControl = "no-cache, private";
        await call.Http.Response.StartAsync(call.Stop);
        await _writer.FlushAsync(call.Stop);
    }

    internal async ValueTask EventAsync(string type, StoredObject o, long revision)
    {
        _writer.Write(Encoding.ASCII.GetBytes($"{{\"type\":\"{type}\",\"object\":"));
        _writer.Write(Bytes(o, revision).Span);
        _writer.Write("}\n"u8);
        _pending += o.Json.Length;
        if (_pending > 128 * 1024) await FlushAsync();
    }

    internal async ValueTask BookmarkAsync(long revision, bool endOfInitialEvents)
    {
        var metadata = new JsonObject { ["resourceVersion"] = revision.ToString(CultureInfo.InvariantCulture), ["creationTimestamp"] = null };
        if (endOfInitialEvents) metadata["annotations"] = new JsonObject { ["k8s.io/initial-events-end"] = "true" };
        var o = new JsonObject { ["kind"] = call.Kind.Kind, ["apiVersion"] = call.Kind.ApiVersion, ["metadata"] = metadata };
        if (accept.Form == OutputForm.PartialObjectMetadata) (o["kind"], o["apiVersion"]) = ("PartialObjectMetadata", $"meta.k8s.io/{accept.MetaVersion}");
        if (accept.Form == OutputForm.Table)
            o = new TableForm(call.Kind, accept.MetaVersion, "None", time.GetUtcNow()).Of([],
                new() { ["resourceVersion"] = revision.ToString(CultureInfo.InvariantCulture) }, false);
        await TreeAsync("BOOKMARK", o);
    }

    internal async ValueTask ErrorAsync(ApiException e)
    {
        await TreeAsync("ERROR", e.ToStatus());
        await FlushAsync();
    }

    internal async ValueTask FlushAsync()
    {
        _pending = 0;
        await _writer.FlushAsync(call.Stop);
    }

    private ValueTask TreeAsync(string type, JsonObject o)
    {
        _writer.Write(JsonText.ToBytes(new JsonObject { ["type"] = type, ["object"] = o }));
        _writer.Write("\n"u8);
        return ValueTask.CompletedTask;
    }

    private ReadOnlyMemory<byte> Bytes(StoredObject o, long revision)
    {
        if (accept.Form == OutputForm.Json && o.Revision == revision && Versions.IsAsStored(call.Kind, o)) return o.Json;
        if (accept.Form == OutputForm.Table)
        {
            var table = new TableForm(call.Kind, accept.MetaVersion, ObjectResponses.IncludeObject(call), time.GetUtcNow());
            var metadata = new JsonObject { ["resourceVersion"] = revision.ToString(CultureInfo.InvariantCulture) };
            var tree = table.Of([o], metadata, !_columnsSent);
            _columnsSent = true;
            return JsonText.ToBytes(tree);
        }
        var shown = accept.Form == OutputForm.PartialObjectMetadata ? TableForm.Partial(o.Parse(), accept.MetaVersion) : Versions.ToRequested(call.Kind, o);
        // An object that left the selection is shown as it last matched, with the revision of the change.
        Metadata.Of(shown)["resourceVersion"] = revision.ToString(CultureInfo.InvariantCulture);
        return JsonText.ToBytes(shown);
    }
}
