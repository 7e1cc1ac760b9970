using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>The Services of faults.yaml and operator-faults.yaml, many with a fault each, under random names.</summary>
public sealed partial class FaultyServices : IDisposable
{
    private readonly Dictionary<string, string> _names = new(StringComparer.Ordinal);
    private readonly Random _random = new();
    private readonly ReservedPort _inward = new();
    private bool _isApplied;

    internal TokenMint Tokens { get; } = new();

    /// <summary>Applies them once, the younger ones last. Workloads may still be starting.</summary>
    internal async Task ReadyAsync(LoopbackMeshRig mesh)
    {
        if (_isApplied) return;
        var parts = (await ReadAsync("faults.yaml")).Split("\n---\n# Then:\n");
        // Of two objects for one host, the older one counts: those of the last part are younger than all others.
        string[] earlier = [.. parts[0].Split("\n---\n"), .. (await ReadAsync("operator-faults.yaml")).Split("\n---\n")];
        var later = parts[1].Split("\n---\n");
        // While the proxies of workloads start, control planes have little time to check other objects.
        foreach (var part in (IEnumerable<string>[])[earlier.Where(IsNoWorkload), later.Where(IsNoWorkload),
            earlier.Concat(later).Where(document => !IsNoWorkload(document))])
            await Task.WhenAll(LoopbackMeshRig.Clusters.Select(cluster => mesh.ApplyAsync(cluster, string.Join("\n---\n", part))));
        _isApplied = true;
    }

    private static bool IsNoWorkload(string document) => !document.Contains("kind: Deployment\n", StringComparison.Ordinal);

    private async Task<string> ReadAsync(string file) => Fill(await File.ReadAllTextAsync(Path.Combine(Folder(), file), TestContext.Current.CancellationToken));

    /// <summary>The text with the names of this run in place of <c>$word</c>.</summary>
    internal string Fill(string text) =>
        Word().Replace(text, match => Name(match.Groups[1].Value)).Replace("INWARD", $"{_inward.Number}", StringComparison.Ordinal)
            .Replace("KEYS", Tokens.Keys, StringComparison.Ordinal);

    /// <summary>The text with <c>$word</c> in place of the names of this run.</summary>
    internal string Unfill(string text) => _names.Aggregate(text, (now, name) => now.Replace(name.Value, $"${name.Key}", StringComparison.Ordinal));

    internal string Name(string word)
    {
        if (_names.TryGetValue(word, out var name)) return name;
        do name = $"{(char)_random.Next('a', 'z' + 1)}{_random.Next(0x100000, 0xffffff):x}";
        while (_names.ContainsValue(name));
        return _names[word] = name;
    }

    public void Dispose()
    {
        _inward.Dispose();
        Tokens.Dispose();
    }

    private static string Folder([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;

    [GeneratedRegex(@"\$([a-z]+)")]
    private static partial Regex Word();
}
