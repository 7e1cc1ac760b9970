using System.Collections;
using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;
using Isthmus.Proxy.Matching;

namespace Isthmus.Proxy.Decisions;

/// <summary>The resources of one type in a dump. Each is decoded when it is first looked up: a dump has thousands in a mesh with hundreds of
/// services, and a call takes few of them.</summary>
internal sealed class DumpedResources<T> : IReadOnlyDictionary<string, T>
    where T : class
{
    private readonly List<Lazy<(T? Resource, string Error)>> _all = [];
    private readonly Dictionary<string, Lazy<(T? Resource, string Error)>> _byName = new(StringComparer.Ordinal);

    /// <param name="resources">The last with a name counts.</param>
    public DumpedResources(IEnumerable<(string Name, JsonObject Json)> resources, Func<JsonObject, T> decode)
    {
        foreach (var (name, json) in resources)
        {
            var resource = new Lazy<(T?, string)>(() => Read(name, json, decode));
            _all.Add(resource);
            _byName[name] = resource;
        }
    }

    /// <summary>Those that cannot be decoded, each with the reason. All are decoded for this.</summary>
    public IEnumerable<string> Unread => _all.Where(one => one.Value.Resource is null).Select(one => one.Value.Error);

    /// <summary>How many were decoded.</summary>
    public int Decoded => _all.Count(one => one.IsValueCreated);

    public int Count => this.Count<KeyValuePair<string, T>>();

    public IEnumerable<string> Keys => this.Select(pair => pair.Key);

    public IEnumerable<T> Values => this.Select(pair => pair.Value);

    public T this[string key] => TryGetValue(key, out var resource) ? resource : throw new KeyNotFoundException($"no resource {key}");

    public bool ContainsKey(string key) => TryGetValue(key, out _);

    public bool TryGetValue(string key, [MaybeNullWhen(false)] out T value)
    {
        value = _byName.GetValueOrDefault(key)?.Value.Resource;
        return value is not null;
    }

    public IEnumerator<KeyValuePair<string, T>> GetEnumerator()
    {
        foreach (var (name, lazy) in _byName)
            if (lazy.Value.Resource is { } resource) yield return new(name, resource);
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private static (T? Resource, string Error) Read(string name, JsonObject json, Func<JsonObject, T> decode)
    {
        try
        {
            return (decode(json), "");
        }
        catch (Exception e) when (ResourceException.IsFault(e))
        {
            return (null, $"{name}: {e.Message}");
        }
    }
}
