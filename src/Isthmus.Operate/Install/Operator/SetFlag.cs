using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Flags;

namespace Isthmus.Operate.Install.Operator;

/// <summary><c>--set path.to[0].field=value</c>: dots separate, <c>\.</c> is a dot in a name, a quoted value is always text.</summary>
public static class SetFlag
{
    private const int LongestList = 1000;

    public static void Apply(JsonObject spec, string flag)
    {
        var equals = flag.IndexOf('=', StringComparison.Ordinal);
        if (equals <= 0)
            throw new WrongUseException($"--set {flag}", "is not of the form path=value", "for example --set values.global.network=network1");
        var steps = Steps(flag[..equals], flag);
        // Istio accepts both spec.values.x and values.x.
        if (steps is ["spec", _, ..]) steps.RemoveAt(0);
        Put(spec, steps, 0, Scalar(flag[(equals + 1)..]), flag);
    }

    private static void Put(JsonNode node, List<object> steps, int at, JsonNode? value, string flag)
    {
        var last = at == steps.Count - 1;
        var fresh = last ? value : steps[at + 1] is int ? (JsonNode)new JsonArray() : new JsonObject();
        if (steps[at] is int index)
        {
            if (node is not JsonArray list) throw new WrongUseException($"--set {flag}", $"[{index}] is not in a list", "check the path");
            while (list.Count <= index) list.Add((JsonNode?)null);
            if (last || list[index] is null) list[index] = fresh;
            if (!last) Put(list[index]!, steps, at + 1, value, flag);
            return;
        }
        if (node is not JsonObject map) throw new WrongUseException($"--set {flag}", $"'{steps[at]}' is below a value that is not a mapping", "check the path");
        var key = (string)steps[at];
        if (last || map[key] is null) map[key] = fresh;
        if (!last) Put(map[key]!, steps, at + 1, value, flag);
    }

    private static List<object> Steps(string path, string flag)
    {
        var steps = new List<object>();
        var word = new StringBuilder();
        void Flush()
        {
            if (word.Length > 0) steps.Add(word.ToString());
            word.Clear();
        }
        for (var i = 0; i < path.Length; i++)
        {
            switch (path[i])
            {
                case '\\' when i + 1 < path.Length:
                    word.Append(path[++i]);
                    break;
                case '.':
                    Flush();
                    break;
                case '[':
                    Flush();
                    var end = path.IndexOf(']', i);
                    if (end < 0 || !int.TryParse(path.AsSpan(i + 1, end - i - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var index)
                        || index >= LongestList)
                        throw new WrongUseException($"--set {flag}", "has an invalid list index", "for example ingressGateways[0].enabled=true");
                    steps.Add(index);
                    i = end;
                    break;
                default:
                    word.Append(path[i]);
                    break;
            }
        }
        Flush();
        return steps.Count > 0 ? steps : throw new WrongUseException($"--set {flag}", "has an empty path", "for example --set profile=demo");
    }

    private static JsonNode? Scalar(string text)
    {
        if (text.Length >= 2 && text[0] == '"' && text[^1] == '"') return JsonValue.Create(text[1..^1]);
        if (text is "true" or "false") return JsonValue.Create(text == "true");
        if (text == "null") return null;
        return long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
            ? JsonNode.Parse(number.ToString(CultureInfo.InvariantCulture))
            : JsonValue.Create(text);
    }
}
