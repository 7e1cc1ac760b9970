using System.Text.Json;
using Isthmus.Core.Json;

namespace Isthmus.Cni.Requests;

/// <summary>What the plug-in says about one new Pod. The plug-in runs as root on the node, but its words come from the runtime.</summary>
internal sealed record PluginRequest(string NetworkNamespace, string Namespace, string Pod, string Uid)
{
    private const int LongestName = 253, LongestPath = 4096;

    /// <exception cref="FormatException">The line is not a request of this protocol.</exception>
    internal static PluginRequest Parse(ReadOnlyMemory<byte> line)
    {
        try
        {
            using var document = StrictJson.Document(line);
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object) throw new FormatException("expected a JSON object");
            if (!root.TryGetProperty("protocol", out var protocol) || !protocol.TryGetInt32(out var version) || version != 1)
                throw new FormatException("expected protocol 1: plug-in and agent are of different versions");
            return new(Text(root, "networkNamespace", LongestPath), Text(root, "namespace", LongestName), Text(root, "pod", LongestName),
                Text(root, "uid", LongestName, optional: true));
        }
        catch (JsonException e)
        {
            throw new FormatException("expected a line of JSON", e);
        }
    }

    private static string Text(JsonElement root, string name, int longest, bool optional = false)
    {
        if (!root.TryGetProperty(name, out var value) || value.ValueKind != JsonValueKind.String)
            return optional ? "" : throw new FormatException($"{name} is missing");
        var text = value.GetString()!;
        if (text.Length == 0 && optional) return text;
        // The names become parts of a URL and of log lines.
        return text.Length is > 0 && text.Length <= longest
            && text.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '.' or '_' or '/' or ':')
            && (longest == LongestPath || !text.Contains('/', StringComparison.Ordinal))
            ? text : throw new FormatException($"{name} is invalid");
    }
}
