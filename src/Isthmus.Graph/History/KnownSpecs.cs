using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;

namespace Isthmus.Graph.History;

/// <summary>What several <see cref="KnownSpecs"/> may hold together, in bytes. From any thread.</summary>
internal sealed class SpecRoom(long most)
{
    /// <summary>For all watches of the process, however many clusters and kinds there are.</summary>
    internal static readonly SpecRoom Shared = new(16 << 20);

    private long _taken;

    /// <summary>What is held now, in bytes.</summary>
    internal long Taken => Interlocked.Read(ref _taken);

    /// <summary>Takes room for more bytes; false if they do not fit.</summary>
    internal bool TryTake(int bytes)
    {
        if (Interlocked.Add(ref _taken, bytes) <= most || bytes <= 0) return true;
        Give(bytes);
        return false;
    }

    internal void Give(int bytes) => Interlocked.Add(ref _taken, -bytes);
}

/// <summary>The last version of the <c>spec</c> of each object of a kind, as text: a tree of it takes ten times the memory. From one thread.</summary>
internal sealed class KnownSpecs(SpecRoom room)
{
    /// <summary>Larger ones are not kept: nobody would read the list of their changed fields.</summary>
    private const int MostBytes = 16 << 10;

    private readonly Dictionary<string, byte[]> _known = new(StringComparer.Ordinal);

    // What was read but not passed on yet; null: it does not fit. It will replace the known version, so the room counts only one of the two.
    private Dictionary<string, byte[]?>? _read;

    /// <summary>The fields in which the spec differs from the last one that was passed on; empty where that is not known.</summary>
    internal ValueList<string> Changed(string key, JsonNode? spec)
    {
        Drop(key);
        var before = _known.GetValueOrDefault(key);
        var after = spec is null ? null : Encoding.UTF8.GetBytes(spec.ToJsonString());
        (_read ??= new(StringComparer.Ordinal))[key] =
            after?.Length <= MostBytes && room.TryTake(after.Length - (before?.Length ?? 0)) ? after : null;
        return before is null || after is null || before.AsSpan().SequenceEqual(after) ? default : ChangedFields.Between(JsonNode.Parse(before), spec);
    }

    /// <summary>Objects were passed on, or are gone. Whatever else was read is dropped: it came from a list that broke off.</summary>
    internal void Passed(IEnumerable<(string Key, bool IsGone)> objects)
    {
        foreach (var (key, isGone) in objects)
        {
            if (isGone) Forget(key);
            else if (_read is not null && _read.Remove(key, out var read))
            {
                if (read is null) Forget(key);
                else _known[key] = read;
            }
        }
        foreach (var key in _read?.Keys.ToList() ?? []) Drop(key);
        _read = null;
    }

    /// <summary>Nothing is known any more.</summary>
    internal void Clear()
    {
        Passed([]);
        foreach (var key in _known.Keys.ToList()) Forget(key);
    }

    private void Forget(string key)
    {
        Drop(key);
        if (_known.Remove(key, out var known)) room.Give(known.Length);
    }

    private void Drop(string key)
    {
        if (_read is not null && _read.Remove(key, out var read) && read is not null)
            room.Give(read.Length - (_known.GetValueOrDefault(key)?.Length ?? 0));
    }
}
