using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;

namespace Isthmus.Proxy.Agent;

/// <summary>Labels or annotations as the kubelet writes them into a downward API file: <c>key="quoted value"</c>, one per line.</summary>
internal static class DownwardFile
{
    /// <summary>Malformed lines are skipped.</summary>
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

    /// <summary>For everything that kubelets write, Go's quoting equals JSON's.</summary>
    private static string? Unquote(string quoted)
    {
        try
        {
            return StrictJson.Parse(quoted)?.GetValue<string>();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null;
        }
    }
}
