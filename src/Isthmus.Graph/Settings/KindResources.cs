using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;

namespace Isthmus.Graph.Settings;

/// <summary>What a client must know of a described kind to address it.</summary>
public static class KindResources
{
    extension(KindDescriptor kind)
    {
        public ResourceKind Resource => kind.In(kind.ReadVersion);

        public ResourceKind In(string version) => new(kind.Group, version, kind.Kind, kind.Plural, kind.IsNamespaced);
    }
}
