namespace Isthmus.Operate.GlobalNames;

/// <summary>The block of a Corefile that forwards one zone to another server. The rest of the file stays exactly as
/// written.</summary>
public static class CorefileZone
{
    /// <summary>The target server runs in one Pod by default. While that Pod is down, cached names stay valid.</summary>
    public static string Block(string zone, string address) => $$"""
        {{zone}}:53 {
            errors
            cache 30 {
                serve_stale
            }
            forward . {{address}}:53
        }

        """;

    /// <summary>The current block, or null.</summary>
    public static string? Find(string corefile, string zone) =>
        Range(Lines(corefile), zone) is var (first, end) && end > first ? string.Concat(Lines(corefile)[first..end]) : null;

    /// <summary>The Corefile with this block, which replaces the one for the same zone or is appended.</summary>
    public static string With(string corefile, string zone, string block)
    {
        var lines = Lines(corefile);
        var (first, end) = Range(lines, zone);
        if (end > first) return string.Concat([.. lines[..first], block, .. lines[end..]]);
        return corefile + (corefile.Length == 0 || corefile.EndsWith('\n') ? "" : "\n") + block;
    }

    public static string Without(string corefile, string zone)
    {
        var lines = Lines(corefile);
        var (first, end) = Range(lines, zone);
        return string.Concat([.. lines[..first], .. lines[end..]]);
    }

    private static (int First, int End) Range(string[] lines, string zone)
    {
        var depth = 0;
        var first = -1;
        for (var i = 0; i < lines.Length; i++)
        {
            var line = lines[i].Trim();
            if (depth == 0 && line.EndsWith('{') && line[..^1].Split(' ', StringSplitOptions.RemoveEmptyEntries) is [var key]
                && (key == zone || key == $"{zone}:53"))
                first = i;
            if (line.EndsWith('{')) depth++;
            else if (line == "}") depth--;
            if (first >= 0 && depth == 0) return (first, i + 1);
        }
        return (0, 0);
    }

    /// <summary>The lines, each with its line break.</summary>
    private static string[] Lines(string text)
    {
        var lines = text.Split('\n');
        return [.. lines[..^1].Select(line => line + "\n"), .. lines[^1].Length > 0 ? [lines[^1]] : (string[])[]];
    }
}
