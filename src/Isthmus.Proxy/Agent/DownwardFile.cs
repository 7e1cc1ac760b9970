using System.Text.Json;
using System.Text.Json.Nodes;

namespace Isthmus.Proxy.Agent;

/// <summary>Labels or annotations as the kubelet writes them into a downward API file: <c>key="quoted value"</c>, one on each line.</summary>
internal static class DownwardFile
{
    /// <summary>Lines that are not of that form are skipped.</summary>
    public static IReadOnlyDictionary<string, string> Parse(string text)
    {
        var result = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var line in text.Split('\n'))
        {
            var equals = line.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0) continue;
            if (Unquote(line[(equals + 1)..].Trim()) is { } value) result[line[..equals].Trim()] = value;
        }
        return result;
    }

    /// <summary>Go's quoting is JSON's for everything that kubelets write.</summary>
    private static string? Unquote(string quoted)
    {
        try
        {
            return JsonNode.Parse(quoted)?.GetValue<string>();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null;
        }
    }
}
