using System.Collections.Frozen;
using Isthmus.Lab.ApiServer.Objects;

namespace Isthmus.Lab.ApiServer.Registry;

/// <summary>All kinds served now: built-in ones and those that definitions add at run time. Readers see one consistent snapshot.</summary>
public sealed class KindRegistry
{
    private readonly Lock _write = new(); // guards replacing _state
    private State _state = new([], 0);

    /// <summary>Increases with each change. Discovery and OpenAPI documents are regenerated when it differs.</summary>
    public long Generation => Volatile.Read(ref _state).Generation;

    /// <summary>In order of registration: built-in groups first.</summary>
    public IReadOnlyList<KindDescriptor> All => Volatile.Read(ref _state).Kinds;

    public KindDescriptor? Find(string group, string version, string plural) =>
        Volatile.Read(ref _state).ByPath.GetValueOrDefault((group, version, plural));

    /// <summary>The first registered version of a resource.</summary>
    public KindDescriptor? FindAny(string group, string plural) =>
        Volatile.Read(ref _state).Kinds.FirstOrDefault(kind => kind.Group == group && kind.Plural == plural);

    public bool HasGroupVersion(string group, string version) =>
        Volatile.Read(ref _state).GroupVersions.Contains(new(group, version));

    public void Add(params IEnumerable<KindDescriptor> kinds)
    {
        lock (_write)
        {
            var added = kinds.ToList();
            var keys = added.Select(Path).ToHashSet();
            Set([.. _state.Kinds.Where(kind => !keys.Contains(Path(kind))), .. added]);
        }
    }

    /// <summary>Replaces all versions of one resource. An empty list removes the resource.</summary>
    public void Replace(GroupResource resource, IReadOnlyList<KindDescriptor> versions)
    {
        lock (_write) Set([.. _state.Kinds.Where(kind => kind.GroupResource != resource), .. versions]);
    }

    private static (string, string, string) Path(KindDescriptor kind) => (kind.Group, kind.Version, kind.Plural);

    private void Set(IReadOnlyList<KindDescriptor> kinds) => Volatile.Write(ref _state, new(kinds, _state.Generation + 1));

    private sealed class State(IReadOnlyList<KindDescriptor> kinds, long generation)
    {
        public IReadOnlyList<KindDescriptor> Kinds { get; } = kinds;

        public long Generation { get; } = generation;

        public FrozenDictionary<(string, string, string), KindDescriptor> ByPath { get; } = kinds.ToFrozenDictionary(Path);

        public HashSet<GroupVersion> GroupVersions { get; } = [.. kinds.Select(kind => kind.GroupVersion)];
    }
}
