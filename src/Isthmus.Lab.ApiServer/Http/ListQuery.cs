using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Http;

/// <summary>The objects of one page and what the list's metadata says.</summary>
internal sealed record ListPage(long Revision, IReadOnlyList<StoredObject> Items, string Continue, long? Remaining);

/// <summary>Lists: versions, selectors, chunks.</summary>
internal sealed class ListQuery(Call call, IObjectStore store)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    internal LabelSelector Labels { get; } = ParseLabels(call.Query("labelSelector"));

    internal FieldSelector Fields { get; } = FieldSelector.Parse(call.Query("fieldSelector"), call.Kind);

    /// <exception cref="ApiException">400: the text is not a selector.</exception>
    internal static LabelSelector ParseLabels(string text)
    {
        try
        {
            return LabelSelector.Parse(text);
        }
        catch (FormatException e)
        {
            throw ApiException.BadRequest(e.Message);
        }
    }

    internal bool Matches(StoredObject o) =>
        Labels.Matches(o.Labels) && (Fields.IsEmpty || Fields.Matches(call.Kind, o))
            && (call.Attributes.Name.Length == 0 || !call.Target.IsWatchPath || o.Name == call.Target.Name);

    internal async Task<ListPage> ReadAsync(CancellationToken stop)
    {
        var limit = call.Number("limit") ?? 0;
        var token = call.Query("continue");
        var version = call.ResourceVersion();
        var match = call.Query("resourceVersionMatch");
        CheckMatch(match, version, token);
        if (token.Length > 0) return Continue(token, limit);
        if (version > store.Revision) await WaitForAsync(store, version.Value, stop);
        ObjectList list;
        try
        {
            list = match == "Exact" ? store.ListAt(call.Kind.Storage, Namespace, version!.Value) : store.List(call.Kind.Storage, Namespace);
        }
        catch (CompactedException)
        {
            throw Expired("The resourceVersion for the provided list is too old.");
        }
        return Page(list, 0, version == 0 && match.Length == 0 ? 0 : limit);
    }

    internal string? Namespace => call.Kind.Namespaced && call.Attributes.Namespace.Length > 0 ? call.Attributes.Namespace : null;

    /// <summary>Waits until the store is as new as the client asks, for a little while.</summary>
    internal static async Task WaitForAsync(IObjectStore store, long version, CancellationToken stop)
    {
        var deadline = Environment.TickCount64 + (long)Patience.TotalMilliseconds;
        while (store.Revision < version)
        {
            if (Environment.TickCount64 > deadline)
                throw new ApiException(504, "Timeout", $"Timeout: Too large resource version: {version}, current: {store.Revision}",
                    new() { Causes = [new("ResourceVersionTooLarge", "Too large resource version")], RetryAfterSeconds = 1 });
            await Task.Delay(50, stop);
        }
    }

    private void CheckMatch(string match, long? version, string token)
    {
        if (match.Length == 0)
        {
            if (token.Length > 0 && version is not (null or 0)) throw ApiException.BadRequest("specifying resource version is not allowed when using continue");
            return;
        }
        var errors = new List<FieldError>();
        if (call.Query("sendInitialEvents").Length == 0 && version is null)
            errors.Add(FieldError.Forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided"));
        if (token.Length > 0) errors.Add(FieldError.Forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided"));
        if (match is not ("Exact" or "NotOlderThan")) errors.Add(FieldError.NotSupported("resourceVersionMatch", match, ["Exact", "NotOlderThan", ""]));
        if (match == "Exact" && version == 0)
            errors.Add(FieldError.Forbidden("resourceVersionMatch", "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""));
        if (errors.Count > 0) throw ApiException.Invalid("meta.k8s.io", "ListOptions", "", errors);
    }

    private ListPage Continue(string token, long limit)
    {
        var (version, start) = Decode(token);
        try
        {
            var list = version < 0 ? store.List(call.Kind.Storage, Namespace) : store.ListAt(call.Kind.Storage, Namespace, version);
            return Page(list, IndexOf(list.Items, start), limit);
        }
        catch (CompactedException)
        {
            throw new ApiException(410, "Expired",
                "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or "
                    + "use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an "
                    + "inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up "
                    + "in the list.",
                withDetails: false)
            {
                Continue = Encode(-1, start),
            };
        }
    }

    private ListPage Page(ObjectList list, int from, long limit)
    {
        var filtered = !Labels.IsEmpty || !Fields.IsEmpty;
        if (!filtered && from == 0 && (limit <= 0 || limit >= list.Items.Count)) return new(list.Revision, list.Items, "", null);
        var items = new List<StoredObject>();
        var index = from;
        for (; index < list.Items.Count; index++)
        {
            var o = list.Items[index];
            if (filtered && !Matches(o)) continue;
            if (limit > 0 && items.Count == limit) break;
            items.Add(o);
        }
        if (index >= list.Items.Count) return new(list.Revision, items, "", null);
        return new(list.Revision, items, Encode(list.Revision, Relative(items[^1]) + "\0"), filtered ? null : list.Items.Count - index);
    }

    /// <summary>Keys inside a namespace are names: tokens of one namespace do not repeat it.</summary>
    private string Relative(StoredObject o) => Namespace is null ? o.Key : o.Name;

    private int IndexOf(IReadOnlyList<StoredObject> items, string start)
    {
        var index = 0;
        while (index < items.Count && string.CompareOrdinal(Relative(items[index]), start) < 0) index++;
        return index;
    }

    private static string Encode(long version, string start) =>
        Base64Url.EncodeToString(JsonText.ToBytes(new JsonObject { ["v"] = "meta.k8s.io/v1", ["rv"] = version, ["start"] = start }));

    private static (long Version, string Start) Decode(string token)
    {
        try
        {
            var json = JsonText.ParseObject(Base64Url.DecodeFromChars(token));
            if ((string?)json["v"] != "meta.k8s.io/v1") throw new JsonException("server does not recognize this encoded version");
            return ((long?)json["rv"] ?? throw new JsonException("no version"), (string?)json["start"] ?? throw new JsonException("no start"));
        }
        catch (Exception e) when (e is JsonException or FormatException or InvalidOperationException)
        {
            throw ApiException.BadRequest($"invalid continue token: continue key is not valid: {e.Message}");
        }
    }

    private static ApiException Expired(string message) => new(410, "Expired", message, withDetails: false);

    internal JsonObject Metadata(ListPage page)
    {
        var metadata = new JsonObject { ["resourceVersion"] = page.Revision.ToString(CultureInfo.InvariantCulture) };
        if (page.Continue.Length > 0 || call.Kind.IsCustom) metadata["continue"] = page.Continue;
        if (page.Remaining is { } remaining) metadata["remainingItemCount"] = remaining;
        return metadata;
    }
}
