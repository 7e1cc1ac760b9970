using System.Collections.Concurrent;
using System.Collections.Specialized;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Diagnose.Packing;

/// <summary>The objects of a cluster in a pack, listed and selected as an API server does.</summary>
internal sealed class PackedObjects(MeshPack pack, string context)
{
    // Elements, and not nodes: these may be read from several threads at once.
    private readonly ConcurrentDictionary<string, IReadOnlyList<JsonElement>?> _kinds = new(StringComparer.Ordinal);

    internal StandInAnswer List(string group, string plural, string ns, NameValueCollection query)
    {
        if (Kind(group, plural) is not { } all) return Unread(group, plural);
        var labels = LabelSelector.Parse(query["labelSelector"]);
        var fields = (query["fieldSelector"] ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries);
        var items = all.Where(item => (ns.Length == 0 || Text(item, "metadata", "namespace") == ns) && (labels.IsEmpty || labels.Matches(Labels(item)))
            && fields.All(field => Has(item, field)));
        return StandInAnswer.Ok(
            $"{{\"kind\":\"List\",\"apiVersion\":\"v1\",\"metadata\":{{\"resourceVersion\":\"1\"}},"
                + $"\"items\":[{string.Join(',', items.Select(item => item.GetRawText()))}]}}");
    }

    internal StandInAnswer Get(string group, string plural, string ns, string name) =>
        Kind(group, plural) is not { } all ? Unread(group, plural)
        : all.Where(item => Text(item, "metadata", "name") == name && Text(item, "metadata", "namespace") == ns)
            .Select(item => StandInAnswer.Ok(item.GetRawText())).FirstOrDefault()
            ?? StandInAnswer.Refused(404, "NotFound", $"{plural} \"{name}\" not found");

    /// <summary>The objects of a kind; null when they are not in the pack.</summary>
    internal IReadOnlyList<JsonElement>? Kind(string group, string plural) => _kinds.GetOrAdd(PackLayout.Key(group, plural), _ =>
        pack.Find(PackLayout.Objects(context, new(group, "", "", plural, true))) is { } bytes
            ? [.. JsonDocument.Parse(bytes).RootElement.EnumerateArray()]
            : null);

    internal static string Text(JsonElement value, params ReadOnlySpan<string> path)
    {
        foreach (var name in path)
            if (value.ValueKind != JsonValueKind.Object || !value.TryGetProperty(name, out value)) return "";
        return value.ValueKind == JsonValueKind.String ? value.GetString()! : value.ToString();
    }

    internal static Dictionary<string, string> Labels(JsonElement item) => Map(item, "metadata", "labels");

    /// <summary>The texts of a map; empty when there is none.</summary>
    internal static Dictionary<string, string> Map(JsonElement value, params ReadOnlySpan<string> path)
    {
        foreach (var name in path)
            if (value.ValueKind != JsonValueKind.Object || !value.TryGetProperty(name, out value)) return [];
        return value.ValueKind == JsonValueKind.Object
            ? value.EnumerateObject().ToDictionary(pair => pair.Name, pair => pair.Value.ToString(), StringComparer.Ordinal)
            : [];
    }

    private static bool Has(JsonElement item, string field) => field.Split('=', 2) is [var path, var wanted]
        && (path.EndsWith('!') ? Text(item, path[..^1].Split('.')) != wanted : Text(item, path.Split('.')) == wanted.TrimStart('='));

    private StandInAnswer Unread(string group, string plural)
    {
        var why = pack.FindText(PackLayout.Unread(context)) is { } text
            ? StrictJson.Parse(text, PackJson.Default.IReadOnlyDictionaryStringUnreadKind).GetValueOrDefault(PackLayout.Key(group, plural))
            : null;
        return why is null ? StandInAnswer.Refused(404, "NotFound", $"{plural} are not in the snapshot")
            : StandInAnswer.Refused(why.Code, why.Reason, why.Message);
    }
}
