using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Isthmus.Tests.Mesh.GatewayApi;

/// <summary>
/// What an object must say:
/// <code>KIND [NAMESPACE/]NAME [@ PARENT[#SECTION]] [# LISTENER]: TOKEN TOKEN…</code>
/// With <c>@</c>, it is what a route or policy says of that parent (an ancestor, in policies), and with <c>#</c>, what a Gateway or ListenerSet says of a
/// listener. Each condition that is named must be of the object's present generation. Tokens:
/// <list type="bullet">
/// <item><c>TYPE</c>, <c>TYPE=False</c>, <c>TYPE=False/REASON</c>, <c>TYPE/REASON</c>: a condition; without a status, it is <c>True</c>.</item>
/// <item><c>!TYPE</c>: no such condition, or not <c>True</c>.</item>
/// <item><c>attached=N</c>, <c>kinds=A,B</c> of a listener; <c>sets=N</c> of a Gateway; <c>listeners=N</c>, <c>parents=N</c>,
/// <c>addresses=N</c>: how many entries.</item>
/// <item><c>feature=NAME</c>: a class supports it.</item>
/// <item><c>.PATH=VALUE</c>: a field of the object (<c>.metadata.labels.a</c>; dots within a name are written <c>\.</c>); <c>.PATH=</c>: there is none.</item>
/// <item><c>gone</c>: no such object.</item>
/// </list>
/// </summary>
internal sealed partial record StatusLine(string Text, ObjectName Object, string Parent, string Section, string Listener, IReadOnlyList<string> Tokens)
{
    internal static StatusLine Read(string text)
    {
        var match = Form().Match(text);
        if (!match.Success) throw new FormatException($"not a status: {text}");
        string Group(string name) => match.Groups[name].Value;
        return new(text, ObjectName.Read(Group("object")), Group("parent"), Group("section"), Group("listener"),
            Group("tokens").Split(' ', StringSplitOptions.RemoveEmptyEntries));
    }

    /// <summary>What is not as it should be; empty: all is.</summary>
    internal string Differences(JsonObject? found)
    {
        if (found is null) return Tokens is ["gone"] ? "" : $"{Object} does not exist";
        if (Tokens is ["gone"]) return $"{Object} is still there";
        var place = Place(found);
        if (place is null) return $"{Object}: no entry for {Parent}{Section}{Listener} in {found["status"]?.ToJsonString()}";
        var wrong = Tokens.Where(token => !Holds(token, found, place)).ToList();
        return wrong.Count == 0 ? "" : $"{Text}\n    not so: {string.Join(' ', wrong)}\n    in: {(place == found ? found["status"] : place)?.ToJsonString()}";
    }

    private JsonObject? Place(JsonObject found)
    {
        var status = found["status"] as JsonObject;
        if (Parent.Length > 0)
        {
            var (list, reference) = Object.Kind.Kind == "BackendTLSPolicy" ? ("ancestors", "ancestorRef") : ("parents", "parentRef");
            return (status?[list] as JsonArray)?.OfType<JsonObject>().FirstOrDefault(entry =>
                entry[reference]!["name"]!.ToString() == Parent && (entry[reference]!["sectionName"]?.ToString() ?? "") == Section);
        }
        return Listener.Length == 0 ? found
            : (status?["listeners"] as JsonArray)?.OfType<JsonObject>().FirstOrDefault(entry => entry["name"]!.ToString() == Listener);
    }

    private static bool Holds(string token, JsonObject found, JsonObject place)
    {
        if (token[0] == '.') return FieldOf(found, token[1..]);
        var status = place == found ? found["status"] as JsonObject : place;
        if (token[0] == '!') return (Condition(token[1..])?["status"]?.ToString() ?? "False") != "True";
        var (name, wanted) = token.Split('=', 2) is [var left, var right] ? (left, right) : (token, "");
        switch (name)
        {
            case "attached": return ((int?)status?["attachedRoutes"])?.ToString(CultureInfo.InvariantCulture) == wanted;
            case "kinds":
                return string.Join(',', (status?["supportedKinds"] as JsonArray ?? []).Select(kind => kind!["kind"]!.ToString()).Order(StringComparer.Ordinal))
                    == wanted;
            case "sets": return ((int?)status?["attachedListenerSets"] ?? 0).ToString(CultureInfo.InvariantCulture) == wanted;
            case "listeners" or "parents" or "addresses":
                return (status?[name] as JsonArray ?? []).Count.ToString(CultureInfo.InvariantCulture) == wanted;
        }
        if (name == "feature") return (status?["supportedFeatures"] as JsonArray ?? []).Any(feature => feature!["name"]!.ToString() == wanted);
        var (type, reason) = (name.Split('/')[0], token.Split('/').ElementAtOrDefault(1));
        var condition = Condition(type);
        return condition is not null && condition["status"]!.ToString() == (wanted.Length == 0 ? "True" : wanted.Split('/')[0])
            && (reason is null || condition["reason"]!.ToString() == reason)
            && (long?)condition["observedGeneration"] == (long?)found["metadata"]!["generation"];

        JsonObject? Condition(string named) =>
            (status?["conditions"] as JsonArray)?.OfType<JsonObject>().FirstOrDefault(item => item["type"]!.ToString() == named);
    }

    private static bool FieldOf(JsonObject found, string text)
    {
        var (path, wanted) = text.Split('=', 2) is [var left, var right] ? (left, right) : (text, null);
        JsonNode? at = found;
        foreach (var name in Names().Split(path).Select(part => part.Replace("\\.", ".", StringComparison.Ordinal)))
            at = at is JsonArray list ? list.ElementAtOrDefault(int.Parse(name, CultureInfo.InvariantCulture)) : (at as JsonObject)?[name];
        return wanted is null ? at is not null : (at?.ToString() ?? "") == wanted;
    }

    [GeneratedRegex(@"^(?<object>\S+ [^\s:]+)( @ (?<parent>[^\s#:]+)(#(?<section>[^\s:]+))?)?( # (?<listener>[^\s:]+))?: (?<tokens>.+)$",
        RegexOptions.ExplicitCapture)]
    private static partial Regex Form();

    [GeneratedRegex(@"(?<!\\)\.")]
    private static partial Regex Names();
}
