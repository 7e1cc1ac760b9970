using System.Collections;
using System.Runtime.InteropServices;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Push;

/// <summary>The DestinationRules of the hosts that a scope sees. Most hosts have none, and of a changed one the others need not be looked at.</summary>
internal sealed class HostRules : IEnumerable<DestinationRule>
{
    private readonly Dictionary<DestinationRule, int> _uses = new(ReferenceEqualityComparer.Instance);

    /// <summary>Another number as soon as they are others.</summary>
    public long Version { get; private set; }

    /// <summary>A host has another rule.</summary>
    /// <param name="before">Null: it had none, or is new.</param>
    /// <param name="after">Null: it has none, or is gone.</param>
    public void Exchange(DestinationRule? before, DestinationRule? after)
    {
        if (ReferenceEquals(before, after)) return;
        if (before is not null && --CollectionsMarshal.GetValueRefOrAddDefault(_uses, before, out _) == 0)
        {
            _uses.Remove(before);
            Version++;
        }
        if (after is not null && ++CollectionsMarshal.GetValueRefOrAddDefault(_uses, after, out _) == 1) Version++;
    }

    /// <summary>Takes over those of a scope that sees the same.</summary>
    public void StartLike(HostRules other)
    {
        foreach (var (rule, uses) in other._uses) _uses[rule] = uses;
        Version++;
    }

    public void Clear()
    {
        _uses.Clear();
        Version++;
    }

    public IEnumerator<DestinationRule> GetEnumerator() => _uses.Keys.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
