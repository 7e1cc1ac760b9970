using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;

namespace Isthmus.Injection.Templates;

/// <summary>
/// The functions of templates: those of Go's <c>text/template</c>, those that Istio's injector adds, and of Sprig (https://masterminds.github.io/sprig/)
/// those that change texts, lists and maps. None reads anything but its arguments.
/// </summary>
internal static class TemplateFunctions
{
    private const int LongestRepeat = 100_000;

    private sealed record Function(int Least, int Most, Func<IReadOnlyList<JsonNode?>, JsonNode?> Call);

    private static readonly Dictionary<string, Function> All = new(StringComparer.Ordinal)
    {
        // They are called by TemplateRun, which stops at the argument that decides.
        ["and"] = new(1, int.MaxValue, arguments => arguments[^1]),
        ["or"] = new(1, int.MaxValue, arguments => arguments[^1]),
        ["not"] = One(value => !TemplateValues.IsTrue(value)),
        ["eq"] = new(2, int.MaxValue, arguments => arguments.Skip(1).Any(other => TemplateValues.AreEqual(arguments[0], other))),
        ["ne"] = Two((left, right) => !TemplateValues.AreEqual(left, right)),
        ["lt"] = Two((left, right) => TemplateValues.Order(left, right) < 0),
        ["le"] = Two((left, right) => TemplateValues.Order(left, right) <= 0),
        ["gt"] = Two((left, right) => TemplateValues.Order(left, right) > 0),
        ["ge"] = Two((left, right) => TemplateValues.Order(left, right) >= 0),
        ["len"] = One(value => value switch { JsonArray list => list.Count, JsonObject map => map.Count, _ => TemplateValues.Text(value).Length }),
        ["index"] = new(1, int.MaxValue, arguments => arguments.Skip(1).Aggregate(arguments[0], Index)),
        ["print"] = new(0, int.MaxValue, arguments => string.Concat(arguments.Select(TemplateValues.Text))),
        ["printf"] = new(1, int.MaxValue, arguments => Format(TemplateValues.Text(arguments[0]), arguments.Skip(1).ToList())),

        ["annotation"] = new(3, 3,
            arguments => Member(Member(arguments[0], "annotations"), TemplateValues.Text(arguments[1])) ?? TemplateValues.Text(arguments[2])),
        ["isset"] = new(2, 2, arguments => arguments[0] is JsonObject map && map.ContainsKey(TemplateValues.Text(arguments[1]))),
        ["valueOrDefault"] = Two((value, otherwise) => value is null || value.GetValueKind() == JsonValueKind.String && value.ToString().Length == 0
            ? otherwise
            : value),
        ["toYaml"] = One(value => YamlText.Print(value)),
        ["fromYaml"] = One(value => Parsed(() => YamlText.Parse(TemplateValues.Text(value), "text"))),
        ["toJson"] = One(Json), ["toJSON"] = One(Json), ["structToJSON"] = One(Json), ["protoToJSON"] = One(Json),
        ["toJsonMap"] = new(1, int.MaxValue, maps => Json(Merge(maps))),
        ["fromJson"] = One(FromJson), ["fromJSON"] = One(FromJson),
        ["mergeMaps"] = new(0, int.MaxValue, Merge),
        ["omit"] = new(1, int.MaxValue, arguments => Without(arguments[0], arguments.Skip(1).Select(TemplateValues.Text))),
        ["omitNil"] = One(OmitNull),
        ["strdict"] = new(0, int.MaxValue, Dictionary), ["dict"] = new(0, int.MaxValue, Dictionary),
        ["directory"] = Text(path => path[..(path.LastIndexOf('/') + 1)]),
        ["indent"] = Two((spaces, text) => TemplateValues.Text(text).Replace("\n", "\n" + Spaces(spaces), StringComparison.Ordinal)),
        ["nindent"] = Two((spaces, text) => "\n" + Spaces(spaces) + TemplateValues.Text(text).Replace("\n", "\n" + Spaces(spaces), StringComparison.Ordinal)),

        ["default"] = Two((otherwise, value) => TemplateValues.IsTrue(value) ? value : otherwise),
        ["empty"] = One(value => !TemplateValues.IsTrue(value)),
        ["coalesce"] = new(1, int.MaxValue, arguments => arguments.FirstOrDefault(TemplateValues.IsTrue)),
        ["ternary"] = new(3, 3, arguments => TemplateValues.IsTrue(arguments[2]) ? arguments[0] : arguments[1]),
        ["required"] = new(2, 2,
            arguments => TemplateValues.IsTrue(arguments[1]) ? arguments[1] : throw new TemplateFaultException(TemplateValues.Text(arguments[0]))),
        ["fail"] = One(value => throw new TemplateFaultException(TemplateValues.Text(value))),
        ["quote"] = new(1, int.MaxValue,
            arguments => string.Join(' ', arguments.Where(value => value is not null).Select(value => Quoted(TemplateValues.Text(value))))),
        ["squote"] = new(1, int.MaxValue,
            arguments => string.Join(' ', arguments.Where(value => value is not null).Select(value => $"'{TemplateValues.Text(value)}'"))),
        ["toString"] = Text(text => text), ["lower"] = Text(text => text.ToLowerInvariant()), ["toLower"] = Text(text => text.ToLowerInvariant()),
        ["upper"] = Text(text => text.ToUpperInvariant()),
        ["trim"] = Text(text => text.Trim()), ["nospace"] = Text(text => string.Concat(text.Where(c => !char.IsWhiteSpace(c)))),
        ["trimAll"] = Texts((set, text) => text.Trim(set.ToCharArray())),
        ["trimPrefix"] = Texts((prefix, text) => text.StartsWith(prefix, StringComparison.Ordinal) ? text[prefix.Length..] : text),
        ["trimSuffix"] = Texts((suffix, text) => suffix.Length > 0 && text.EndsWith(suffix, StringComparison.Ordinal) ? text[..^suffix.Length] : text),
        ["trunc"] = Two((length, text) => Truncated(Int(length), TemplateValues.Text(text))),
        ["replace"] = new(3, 3,
            arguments => TemplateValues.Text(arguments[0]) is { Length: > 0 } old
                ? TemplateValues.Text(arguments[2]).Replace(old, TemplateValues.Text(arguments[1]), StringComparison.Ordinal)
                : arguments[2]),
        ["repeat"] = Two((count, text) => Repeated(Int(count), TemplateValues.Text(text))),
        ["contains"] = Texts((part, text) => text.Contains(part, StringComparison.Ordinal)),
        ["hasPrefix"] = Texts((prefix, text) => text.StartsWith(prefix, StringComparison.Ordinal)),
        ["hasSuffix"] = Texts((suffix, text) => text.EndsWith(suffix, StringComparison.Ordinal)),
        ["b64enc"] = Text(text => Convert.ToBase64String(Encoding.UTF8.GetBytes(text))),
        ["b64dec"] = Text(text => Parsed(() => Encoding.UTF8.GetString(Convert.FromBase64String(text)))!.ToString()),
        ["int"] = One(value => (long)(value?.GetValueKind() == JsonValueKind.Number
            ? TemplateValues.Number(value)
            : long.TryParse(TemplateValues.Text(value), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
            ? number
            : 0)),
        ["add"] = new(1, int.MaxValue, arguments => arguments.Sum(Long)), ["sub"] = Two((left, right) => Long(left) - Long(right)),
        ["mul"] = new(1, int.MaxValue, arguments => arguments.Aggregate(1L, (product, value) => product * Long(value))),

        ["list"] = new(0, int.MaxValue, arguments => new JsonArray([.. arguments.Select(Copy)])),
        ["append"] = Two((list, value) => new JsonArray([.. List(list).Select(Copy), Copy(value)])),
        ["prepend"] = Two((list, value) => new JsonArray([Copy(value), .. List(list).Select(Copy)])),
        ["concat"] = new(0, int.MaxValue, lists => new JsonArray([.. lists.SelectMany(List).Select(Copy)])),
        ["first"] = One(list => List(list).FirstOrDefault()), ["last"] = One(list => List(list).LastOrDefault()),
        ["has"] = Two((value, list) => List(list).Any(item => TemplateValues.Text(item) == TemplateValues.Text(value))),
        ["uniq"] = One(list => new JsonArray([.. List(list).DistinctBy(TemplateValues.Text).Select(Copy)])),
        ["join"] = Two((separator, list) => string.Join(TemplateValues.Text(separator), List(list).Select(TemplateValues.Text))),
        ["splitList"] = Texts((separator, text) => new JsonArray([.. text.Split(separator).Select(part => (JsonNode)part)])),
        ["keys"] = One(map => new JsonArray([.. (map as JsonObject ?? []).Select(entry => (JsonNode)entry.Key)
            .OrderBy(key => key.ToString(), StringComparer.Ordinal)])),
        ["hasKey"] = Two((map, key) => map is JsonObject known && known.ContainsKey(TemplateValues.Text(key))),
        ["get"] = Two((map, key) => Member(map, TemplateValues.Text(key)) ?? ""),
    };

    internal static string Names { get; } = string.Join(", ", All.Keys.Order(StringComparer.Ordinal));

    internal static bool IsKnown(string name) => All.ContainsKey(name);

    /// <exception cref="TemplateFaultException">The function cannot use these arguments.</exception>
    internal static JsonNode? Call(string name, IReadOnlyList<JsonNode?> arguments)
    {
        var function = All[name];
        if (arguments.Count < function.Least || arguments.Count > function.Most)
            throw new TemplateFaultException(
                $"it has {arguments.Count} arguments (expected {(function.Least == function.Most ? $"{function.Least}" : $"at least {function.Least}")})");
        return function.Call(arguments);
    }

    private static Function One(Func<JsonNode?, JsonNode?> call) => new(1, 1, arguments => call(arguments[0]));

    private static Function Two(Func<JsonNode?, JsonNode?, JsonNode?> call) => new(2, 2, arguments => call(arguments[0], arguments[1]));

    private static Function Text(Func<string, JsonNode?> call) => One(value => call(TemplateValues.Text(value)));

    private static Function Texts(Func<string, string, JsonNode?> call) => Two((left, right) => call(TemplateValues.Text(left), TemplateValues.Text(right)));

    private static JsonNode? Copy(JsonNode? value) => value?.DeepClone();

    private static long Long(JsonNode? value) => (long)TemplateValues.Number(value);

    private static int Int(JsonNode? value) =>
        Long(value) is >= int.MinValue and <= int.MaxValue and var number
            ? (int)number
            : throw new TemplateFaultException($"'{TemplateValues.Text(value)}' is too large");

    private static JsonNode? Member(JsonNode? value, string name) => (value as JsonObject)?[name];

    private static JsonArray List(JsonNode? value) => value switch
    {
        JsonArray list => list,
        null => [],
        _ when TemplateValues.Text(value).Length == 0 => [],
        _ => throw new TemplateFaultException($"'{TemplateValues.Text(value)}' is not a list"),
    };

    private static JsonNode? Index(JsonNode? value, JsonNode? key) => value switch
    {
        JsonArray list when TemplateValues.Number(key) is var at && at >= 0 && at < list.Count => list[(int)at],
        JsonArray list => throw new TemplateFaultException($"index {TemplateValues.Text(key)} is out of range (the list has {list.Count} items)"),
        JsonObject map => map[TemplateValues.Text(key)],
        null => null,
        _ when TemplateValues.Text(value).Length == 0 => null,
        _ => throw new TemplateFaultException($"'{TemplateValues.Text(value)}' is neither a list nor a map"),
    };

    private static string Spaces(JsonNode? count) => Repeated(Int(count), " ");

    private static string Repeated(int count, string text) =>
        (long)Math.Max(0, count) * text.Length <= LongestRepeat
            ? new StringBuilder().Insert(0, text, Math.Max(0, count)).ToString()
            : throw new TemplateFaultException($"the text would have more than {LongestRepeat} characters");

    private static string Truncated(int length, string text) =>
        length >= 0 ? text[..Math.Min(length, text.Length)] : text[Math.Max(0, text.Length + length)..];

    private static string Quoted(string text) => JsonValue.Create(text).ToJsonString(KeepsText);

    private static readonly JsonSerializerOptions KeepsText = new()
    {
        TypeInfoResolver = Kubernetes.Objects.KubeJson.Default, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping
    };

    private static JsonNode? Json(JsonNode? value) => value is null || TemplateValues.Text(value).Length == 0 ? "{}" : value.ToJsonString(KeepsText);

    private static JsonNode? FromJson(JsonNode? text) => Parsed(() => StrictJson.Parse(TemplateValues.Text(text)));

    private static JsonNode? Parsed(Func<JsonNode?> parse)
    {
        try { return parse(); }
        catch (Exception e) when (e is JsonException or FormatException or ProblemException) { throw new TemplateFaultException(e.Message); }
    }

    private static JsonObject Merge(IReadOnlyList<JsonNode?> maps)
    {
        var merged = new JsonObject();
        foreach (var (key, value) in maps.OfType<JsonObject>().SelectMany(map => map)) merged[key] = Copy(value);
        return merged;
    }

    private static JsonObject Without(JsonNode? map, IEnumerable<string> keys)
    {
        var left = Merge([map]);
        foreach (var key in keys) left.Remove(key);
        return left;
    }

    private static JsonNode? OmitNull(JsonNode? value) => value is JsonObject map
        ? new JsonObject(map.Where(entry => entry.Value is not null).Select(entry => KeyValuePair.Create(entry.Key, OmitNull(entry.Value)))
            .Where(entry => entry.Value is not JsonObject { Count: 0 }))
        : Copy(value);

    private static JsonObject Dictionary(IReadOnlyList<JsonNode?> arguments)
    {
        var map = new JsonObject();
        for (var i = 0; i < arguments.Count; i += 2) map[TemplateValues.Text(arguments[i])] = i + 1 < arguments.Count ? Copy(arguments[i + 1]) : "";
        return map;
    }

    /// <summary>The verbs <c>%s</c>, <c>%v</c>, <c>%d</c>, <c>%t</c> and <c>%q</c>, without widths.</summary>
    private static string Format(string format, List<JsonNode?> values)
    {
        var (text, next) = (new StringBuilder(), 0);
        for (var i = 0; i < format.Length; i++)
        {
            if (format[i] != '%')
            {
                text.Append(format[i]);
                continue;
            }
            var verb = ++i < format.Length ? format[i] : ' ';
            if (verb == '%')
            {
                text.Append('%');
                continue;
            }
            if (verb is not ('s' or 'v' or 'd' or 't' or 'q'))
                throw new TemplateFaultException($"the verb '%{verb}' is not supported (verbs: %s, %v, %d, %t, %q)");
            if (next >= values.Count) throw new TemplateFaultException($"'{format}' has more verbs than there are values");
            var value = TemplateValues.Text(values[next++]);
            text.Append(verb == 'q' ? Quoted(value) : value);
        }
        return text.ToString();
    }
}
